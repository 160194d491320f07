"""`t2v list` and `t2v watch` on a real terminal of 80 columns, with 200 videos."""

import re

import pytest
from t2v_operator.cli.table import cells_of, padded, table

from tests.unit.cli.terminal import COLUMNS, Terminal
from tests.unit.client.cluster import Cluster

PROMPT = "一个红色的圆 🎬 moving from the left to the right, and on, and on, \x1b[2J\n and on"


@pytest.fixture
def many(cluster: Cluster) -> Cluster:
    for number in range(200):
        name = f"film-{number:03d}" + ("-with-a-long-name" * 5 if number % 50 == 7 else "")
        cluster.put(name, spec={"prompt": f"{number} {PROMPT}"})
    for number in range(3):
        progress = {"percent": 30 * number, "stage": "denoise", "step": number, "steps": 25}
        status = {"phase": "Running", "progress": {**progress, "etaSeconds": 40.0}}
        cluster.put(f"film-{number:03d}", status=status)
    return cluster


def test_a_list_of_200_wraps_nowhere(many: Cluster) -> None:
    terminal = Terminal("list")
    terminal.read()
    assert terminal.code == 0
    header, *rows = terminal.everything
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "MODEL", "AGE", "PROMPT"]
    assert len(rows) == 200
    assert all(row.startswith("film-") for row in rows)
    start = header.index("PHASE")
    assert {row[start:].split()[0] for row in rows} == {"Running", "Pending"}
    # pyte shows a wide character as itself and an empty cell.
    assert all("红色" in row.replace(" ", "") or "…" in row for row in rows)


def test_a_watch_fits_its_screen_follows_and_ends(many: Cluster) -> None:
    terminal = Terminal("watch")
    lines = terminal.read(lambda shown: "200 videos" in shown[0] and "more" in shown[23])
    assert lines[0].startswith("200 videos: 3 Running, 197 Pending")
    assert lines[1].split()[:2] == ["NAME", "PHASE"]
    assert [line.split()[0] for line in lines[2:5]] == ["film-000", "film-001", "film-002"]
    assert "██████░░░░    60 %   denoise 2/25   40 s" in lines[4]
    assert re.fullmatch(r"… \d+ more", lines[23])
    assert all(line.startswith("film-") for line in lines[2:23])

    many.put("film-150", status={"phase": "Running", "progress": {"percent": 99}})
    lines = terminal.read(lambda shown: "4 Running" in shown[0] and "99 %" in "".join(shown))
    assert any(line.startswith("film-150") and "99 %" in line for line in lines[2:7])

    for _, name in list(many.videos):
        many.succeed(name)
    terminal.read()
    assert terminal.code == 0
    # The other screen is left, and the whole table stays.
    assert terminal.written.rstrip().rfind(b"\x1b[?1049l") > 0
    after = terminal.written.rpartition(b"\x1b[?1049l")[2].decode().splitlines()
    told = [line for line in after if line.strip()]
    assert any(line.startswith("200 videos: 200 Succeeded") for line in told)
    assert sum("film-" in line for line in told) == 200
    assert all(cells_of(re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", line)) <= COLUMNS for line in told)


def test_a_watch_of_one_that_is_interrupted_gives_the_screen_back(many: Cluster) -> None:
    terminal = Terminal("watch", "film-000")
    lines = terminal.read(lambda shown: shown[2].startswith("film-000"))
    assert lines[0].startswith("1 video: ")
    assert lines[2].startswith("film-000")
    terminal.interrupt()
    terminal.read()
    assert terminal.code == 130
    assert b"\x1b[?1049l" in terminal.written
    assert b"Traceback" not in terminal.written


@pytest.mark.parametrize("columns", [40, 60, 132])
def test_a_table_fits_any_terminal(columns: int) -> None:
    rows = [["film-" * 30, "Running", "62 %", "tiny-shapes", "3d", PROMPT * 3]] * 2
    header = ["NAME", "PHASE", "PROGRESS", "MODEL", "AGE", "PROMPT"]
    lines = table(header, rows, columns, elastic=(0, 3))
    assert max(map(cells_of, lines)) <= columns
    assert all("Running" in line for line in lines[1:])


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 5, "abcd…"),
        ("一二三", 5, "一二…"),
        ("一二三", 4, "一… "),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ("e\u0301" * 9, 3, "e\u0301e\u0301…"),
        ("一" * 4096, 5, "一一…"),
    ],
    ids=["short", "long", "wide", "half a wide one", "combining", "long combining", "very long"],
)
def test_a_text_is_cut_by_cells(text: str, width: int, shown: str) -> None:
    assert padded(text, width) == shown

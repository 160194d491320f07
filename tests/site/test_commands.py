"""Every command that the pages show is run by a test, or its block says why not.

What stands before a block of shell: `<!-- run: FILE, FILE -->`, which may end in
`; not run: COMMAND`, or `<!-- not run: WHY -->`. The files are tests (or CI's script) that run
these commands. Those of `t2v` in a block that names this file are run here, as they stand.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.site.commands import commands, essence, read_mark
from tests.site.pages import ROOT, Block, blocks

SHELL = blocks("sh", "bash", "shell", "console")
HERE = Path(__file__).relative_to(ROOT).as_posix()
SECONDS = 300
T2V = "import sys; from t2v_operator.cli.main import main; sys.exit(main())"

OPENING = next(each for each in blocks("yaml") if each.page == "docs/tutorial.md").text


def run_here(program: str) -> list[list[str]]:
    """The arguments of a program in blocks that name this file; each once."""
    found: list[list[str]] = []
    for block in SHELL:
        mark = read_mark(block.mark)
        for name, *words in commands(block.text) if HERE in mark.run_by else ():
            shown = " ".join(essence([name, *words]))
            if name.endswith(program) and shown not in mark.but_for and words not in found:
                found.append(words)
    return found


def said_by(files: tuple[str, ...]) -> str:
    return "\n".join((ROOT / name).read_text() for name in files)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_a_block_says_who_runs_it_or_why_nobody_does(block: Block) -> None:
    mark = read_mark(block.mark)
    assert mark.run_by or mark.why_not, (
        f"write <!-- run: tests/… --> or <!-- not run: why --> before {block}"
    )
    missing = [name for name in mark.run_by if not (ROOT / name).is_file()]
    assert missing == []


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_the_tests_that_a_block_names_run_its_commands(block: Block) -> None:
    mark = read_mark(block.mark)
    if mark.why_not:
        return
    said = said_by(mark.run_by)
    shown = {" ".join(essence(command)): command for command in commands(block.text)}
    assert [each for each in mark.but_for if each not in shown] == [], "it is not shown at all"
    unknown = [
        named
        for named, command in shown.items()
        if named not in mark.but_for
        and not (HERE in mark.run_by and command[0].endswith(("t2v", "make")))
        and not all(re.search(rf"\b{re.escape(word)}\b", said) for word in essence(command))
    ]
    assert unknown == [], f"no test that {block} names runs them"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader would type: the repository, and the files that they were told to write."""
    made = tmp_path_factory.mktemp("reader")
    for name in ("examples", "models", "crds", "charts"):
        (made / name).symlink_to(ROOT / name)
    for name in ("opening.yaml", "video.yaml"):
        (made / name).write_text(OPENING)
    return made


@pytest.mark.parametrize("words", run_here("t2v"), ids=" ".join)
def test_t2v_does_what_a_page_tells_to_type(words: list[str], folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", T2V, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    if words[:2] == ["run", "-f"]:
        made = yaml.safe_load((folder / words[2]).read_text())["metadata"]["name"]
        assert (folder / "out" / made / "video.mp4").stat().st_size > 0


@pytest.mark.parametrize("words", run_here("make"), ids=" ".join)
def test_make_knows_the_target_that_a_page_names(words: list[str]) -> None:
    """What `make demo` runs is run above; the other targets' work has tests of its own."""
    told = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    if words == ["demo"]:
        assert "t2v run -f examples/red-circle.yaml -o" in told.stdout


def test_the_pages_have_commands() -> None:
    """Else the tests above would test nothing."""
    assert len(SHELL) > 15
    assert len(run_here("t2v")) > 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("kubectl -n a get pods  # all", [("kubectl", "get")], id="comment and option"),
        pytest.param("a b && c d | e f", [("a", "b"), ("c", "d"), ("e", "f")], id="several"),
        pytest.param("K=$(t2v key create --name x)", [("t2v", "key", "create")], id="within"),
        pytest.param("helm upgrade \\\n --install x", [("helm", "upgrade")], id="two lines"),
        pytest.param("curl -s localhost:1/api/text2video -d x", [("text2video",)], id="address"),
        pytest.param(".venv/bin/t2v run -f x >y", [("t2v", "run")], id="path and redirection"),
    ],
)
def test_commands_are_read_as_a_shell_reads_them(
    text: str, expected: list[tuple[str, ...]]
) -> None:
    assert [essence(command) for command in commands(text)] == expected

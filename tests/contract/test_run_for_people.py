"""`t2v run` by a prompt: three lines on a terminal, everything for programs."""

import json
import subprocess
import sys
from pathlib import Path

from t2v_api.resource import TextToVideoJobStatus

from tests.unit.cli.terminal import Terminal

ASKED = ("run", "a red circle", "--model", "tiny-shapes", "--num-inference-steps", "2")


def test_people_get_three_lines_and_programs_all_of_it(tmp_path: Path) -> None:
    terminal = Terminal(*ASKED, "--seed", "7", "-o", str(tmp_path))
    terminal.read()
    assert terminal.code == 0, terminal.everything
    shown = "\n".join(terminal.everything)
    video = tmp_path / "a-red-circle" / "video.mp4"
    assert video.exists()
    # A path longer than the screen goes on in the next line.
    assert str(video) in shown.replace("\n", "")
    assert "\nseed:  7\ntime:  " in shown
    assert "phase" not in shown

    words = [*ASKED, "--seed", "8", "-n", "2", "-o", str(tmp_path), "--output", "json"]
    command = [sys.executable, "-m", "t2v_operator", *words]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    ends = [json.loads(line) for line in made.stdout.splitlines()]
    assert [each["metadata"]["name"] for each in ends] == ["a-red-circle-8", "a-red-circle-9"]
    statuses = [TextToVideoJobStatus.parse(each["status"]) for each in ends]
    assert [each.resolved.seed for each in statuses if each.resolved] == [8, 9]

"""What a shell is answered that asks how a line may go on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from t2v_operator.cli.main import main

from tests.unit.client.cluster import Cluster


def completed(line: str, tmp_path: Path) -> list[str]:
    """By the program itself, as bash asks it."""
    answer = tmp_path / "answer"
    environment = os.environ | {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    command = [sys.executable, "-m", "t2v_operator"]
    subprocess.run(command, env=environment, check=True)
    return [each.strip() for each in answer.read_text().splitlines()]


def test_commands_options_and_names_are_completed(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("red-circle", "red-square", "blue"):
        cluster.put(name)
    assert completed("t2v can", tmp_path) == ["cancel"]
    assert "--seeds" in completed("t2v submit --se", tmp_path)
    assert completed("t2v cancel red-", tmp_path) == ["red-circle", "red-square"]
    assert completed("t2v cancel --context nowhere red-", tmp_path) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "t2v" in capsys.readouterr().out


def test_help_imports_no_command(tmp_path: Path) -> None:
    """What it loads is what it costs: neither models nor an HTTP client."""
    told = "import sys; from t2v_operator.cli.main import main\n"
    told += "try: main(['--help'])\nexcept SystemExit: pass\n"
    told += "print(sorted({'aiohttp', 'pydantic', 'kopf', 'rich', 'yaml'} & set(sys.modules)))"
    command = [sys.executable, "-c", told]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

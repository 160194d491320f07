"""Run a program to its end, with its output in the error when it fails."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import CommandError, HarnessError

Words = Sequence[str | Path]

# In a build the machine has other work to do.
GENTLY = ("nice", "-n", "19")


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = 120,
) -> str:
    """Return standard output. `environment` is added to this process's own.

    Raises CommandError when the program fails, HarnessError when it takes too long.
    """
    words = [str(word) for word in command]
    try:
        ended = subprocess.run(
            words,
            input=stdin,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise HarnessError(f"{shlex.join(words)} took over {timeout_seconds:.0f} s") from late
    if ended.returncode != 0:
        raise CommandError(shlex.join(words), ended.returncode, ended.stdout + ended.stderr)
    return ended.stdout

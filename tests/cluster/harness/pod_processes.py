"""What befalls a pod's processes on this machine: a signal, and memory that runs out."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from harness.errors import HarnessError

MIB = 1 << 20
ENOUGH_SECONDS = 60.0


def kill_processes_of_pod(uid: str, program: str) -> None:
    """SIGKILL to the processes of a pod whose command line names `program`."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_its = f"pod{uid}" in (process / "cgroup").read_text()
            if is_its and program in (process / "cmdline").read_text():
                os.kill(int(process.name), signal.SIGKILL)


def leave_no_memory_for_pod(uid: str) -> None:
    """Limit its containers to what they hold, until the kernel has killed what wants more.

    The kernel's own way: the pod ends as one that came to its limit by itself. Raises HarnessError
    where its containers are not found, or go on without more.
    """
    if not _limits(uid):
        raise HarnessError(f"no container of pod {uid} can be limited")
    deadline = time.monotonic() + ENOUGH_SECONDS
    while limits := _limits(uid):
        if time.monotonic() > deadline:
            raise HarnessError(f"pod {uid} needs no more memory")
        for limit in limits:
            # Refused while more is in use: what was read from files is given back bit by bit.
            with suppress(OSError):
                limit.write_text(str(_held(limit.parent) + MIB))
        time.sleep(0.01)


def _limits(uid: str) -> list[Path]:
    """The files with the memory limits of its containers, in control groups of version 2 or 1.

    Not that of what holds its network, which is nearly nothing and stays longer.
    """
    pods = list(Path("/sys/fs/cgroup").rglob(f"pod{uid}"))
    names = ("memory.max", "memory.limit_in_bytes")
    files = [file for pod in pods for name in names for file in pod.glob(f"*/{name}")]
    return [file for file in files if _held(file.parent) > 50 * MIB]


def _held(container: Path) -> int:
    """Bytes of the processes' own; 0 once they are gone."""
    try:
        lines = (container / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    figures = {name: int(value) for name, value in map(str.split, lines)}
    return figures["anon"] if "anon" in figures else figures["rss"]

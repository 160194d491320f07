"""What befalls a pod's processes on this machine: a signal, and memory that runs out."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from harness.errors import HarnessError

MIB = 1 << 20


def kill_processes_of_pod(uid: str, program: str) -> None:
    """SIGKILL to the processes of a pod whose command line names `program`."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_its = f"pod{uid}" in (process / "cgroup").read_text()
            if is_its and program in (process / "cmdline").read_text():
                os.kill(int(process.name), signal.SIGKILL)


def leave_no_memory_for_pod(uid: str) -> None:
    """Limit its containers to what they hold, files aside: the kernel kills which wants more.

    The kernel's own way: the pod ends as one that came to its limit by itself. Raises HarnessError
    where its containers are not found.
    """
    limited = [_limit_to_what_is_held(folder) for folder in _containers(uid)]
    if not any(limited):
        raise HarnessError(f"no container of pod {uid} can be limited")


def _containers(uid: str) -> Iterator[Path]:
    """Their folders among the control groups, of version 2 or 1."""
    for pod in Path("/sys/fs/cgroup").rglob(f"pod{uid}"):
        yield from (each for each in pod.iterdir() if each.is_dir())


def _limit_to_what_is_held(container: Path) -> bool:
    """Whether that is a control group of memory."""
    limit = container / "memory.max"
    if not limit.exists():
        limit = container / "memory.limit_in_bytes"
    if not limit.exists():
        return False
    # What was read from files is given back first, so it is not counted.
    held = _held(container)
    for _ in range(200):
        try:
            limit.write_text(str(held))
        except OSError:
            held += MIB
            time.sleep(0.01)
        else:
            return True
    raise HarnessError(f"{limit} cannot be set to {held}")


def _held(container: Path) -> int:
    """Bytes of the processes' own."""
    lines = (container / "memory.stat").read_text().splitlines()
    figures = {name: int(value) for name, value in map(str.split, lines)}
    return figures["anon"] if "anon" in figures else figures["rss"]

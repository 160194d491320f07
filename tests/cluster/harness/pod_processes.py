"""What befalls a pod's processes on this machine: a signal, and memory that runs out."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from harness.errors import HarnessError
from harness.waiting import wait_until

PIECE = 1 << 24
_LIMITS = ("memory.max", "memory.limit_in_bytes")
_USED = ("memory.current", "memory.usage_in_bytes")
"""Of control groups of version 2 and 1."""


def kill_processes_of_pod(uid: str, program: str) -> None:
    """SIGKILL to the processes of a pod whose command line names `program`."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_its = f"pod{uid}" in (process / "cgroup").read_text()
            if is_its and program in (process / "cmdline").read_text():
                os.kill(int(process.name), signal.SIGKILL)


# Joins a control group, of which the kernel then kills every process but this one, and fills it.
_FILL = """
import os, sys, time
open("/proc/self/oom_score_adj", "w").write("-1000")
open(sys.argv[1], "w").write(str(os.getpid()))
held = [b"1" * (1 << 24) for _ in range(int(sys.argv[2]))]
time.sleep(60)
"""


def let_pod_run_out_of_memory(uid: str) -> None:
    """Fill the memory of its container, so that the kernel kills what works there.

    The pod ends as one that came to its limit by itself. Raises HarnessError where it has no
    container, or that goes on.
    """
    limit = next(iter(_limits(uid)), None)
    if limit is None:
        raise HarnessError(f"no container of pod {uid} can be limited")
    container = limit.parent
    used = next(file for name in _USED if (file := container / name).exists())
    limit.write_text(str(int(used.read_text()) + 4 * PIECE))
    words = (sys.executable, "-c", _FILL, str(container / "cgroup.procs"), "32")
    with subprocess.Popen(words) as filling:
        try:
            wait_until(lambda: not _limits(uid), f"pod {uid} has no memory left", 60, 0.02)
        finally:
            filling.kill()


def _limits(uid: str) -> list[Path]:
    """The files with the memory limits of its containers.

    Only while the runner is there: what holds the pod's network stays longer.
    """
    pods = list(Path("/sys/fs/cgroup").rglob(f"pod{uid}"))
    files = [file for pod in pods for name in _LIMITS for file in pod.glob(f"*/{name}")]
    return [file for file in files if _works(file.parent)]


def _works(container: Path) -> bool:
    """Whether the runner is there."""
    try:
        pids = (container / "cgroup.procs").read_text().split()
    except OSError:
        return False
    return any("t2v_runner" in _command_line(pid) for pid in pids)


def _command_line(pid: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""

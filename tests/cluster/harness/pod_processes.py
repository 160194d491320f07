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
held = [b"1" * int(sys.argv[2]) for _ in range(32)]
time.sleep(60)
"""


def let_pod_run_out_of_memory(uid: str, program: str) -> None:
    """Fill the memory of its container that runs `program`, so that the kernel kills that.

    The pod ends as one that came to its limit by itself. Raises HarnessError where there is no
    such container, or it goes on.
    """
    pods = Path("/sys/fs/cgroup").rglob(f"pod{uid}")
    limits = (file for pod in pods for name in _LIMITS for file in pod.glob(f"*/{name}"))
    limit = next((file for file in limits if _runs(file.parent, program)), None)
    if limit is None:
        raise HarnessError(f"no container of pod {uid} runs {program}")
    container = limit.parent
    used = next(file for name in _USED if (file := container / name).exists())
    limit.write_text(str(int(used.read_text()) + 4 * PIECE))
    words = (sys.executable, "-c", _FILL, str(container / "cgroup.procs"), str(PIECE))
    with subprocess.Popen(words) as filling:
        try:
            wait_until(lambda: not _runs(container, program), f"{program} is killed", 60, 0.02)
        finally:
            filling.kill()


def _runs(container: Path, program: str) -> bool:
    """Whether a process of the control group names `program` on its command line."""
    try:
        pids = (container / "cgroup.procs").read_text().split()
    except OSError:
        return False
    return any(program in _command_line(pid) for pid in pids)


def _command_line(pid: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""

"""What the container may use, as its control group says, and what others leave of it.

Source: the kernel's documentation of cgroup v2 (cpu.max, memory.max) and v1 (cpu.cfs_quota_us,
memory.limit_in_bytes).
"""

import os
import time
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
STATISTICS = Path("/proc/stat")
LOOK_SECONDS = 0.05


def cpus(groups: Path = GROUPS) -> float:
    """How many at once, of those that this process may run on at all."""
    quota, period = _cpu_quota(groups)
    affine = len(os.sched_getaffinity(0))
    return affine if quota in ("max", "-1") else min(affine, int(quota) / int(period))


def idle_cpus(statistics: Path = STATISTICS) -> float:
    """How many CPUs of the machine are idle. Looks twice, with a pause.

    Source: proc(5), the line of all CPUs: user, nice, system, idle, waiting for disks, and others.
    """
    before = _times(statistics)
    time.sleep(LOOK_SECONDS)
    spent = [later - earlier for earlier, later in zip(before, _times(statistics), strict=True)]
    share = (spent[3] + spent[4]) / sum(spent) if sum(spent) else 1.0
    return share * (os.cpu_count() or 1)


def _times(statistics: Path) -> list[int]:
    with statistics.open() as lines:
        return [int(each) for each in lines.readline().split()[1:9]]


def memory_bytes(groups: Path = GROUPS) -> int:
    """All of the machine's, where there is no limit."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in (groups / "memory.max", groups / "memory" / "memory.limit_in_bytes"):
        if file.exists() and (limit := file.read_text().strip()) != "max":
            return min(physical, int(limit))
    return physical


def _cpu_quota(groups: Path) -> tuple[str, str]:
    if (groups / "cpu.max").exists():
        quota, period = (groups / "cpu.max").read_text().split()
        return quota, period
    folder = groups / "cpu"
    if not (folder / "cpu.cfs_quota_us").exists():
        return "max", "1"
    quota = (folder / "cpu.cfs_quota_us").read_text().strip()
    return quota, (folder / "cpu.cfs_period_us").read_text()

"""What the container may use, as its control group says.

Source: the kernel's documentation of cgroup v2 (cpu.max, memory.max) and v1 (cpu.cfs_quota_us,
memory.limit_in_bytes).
"""

import os
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")


def cpus(groups: Path = GROUPS) -> float:
    """How many at once, of those that this process may run on at all."""
    quota, period = _cpu_quota(groups)
    affine = len(os.sched_getaffinity(0))
    return affine if quota in ("max", "-1") else min(affine, int(quota) / int(period))


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

"""One process at a time, also of several pods on one volume.

A lock of the kernel goes with its holder, however that one ends. It is a POSIX lock, since those
hold between the nodes of an NFS, CephFS or GPFS where `flock` may hold on each node alone.
"""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def locked(path: Path, wait: Callable[[int], None]) -> Iterator[None]:
    """Hold the lock of the file at `path`, which stays.

    `wait` is called after each vain try, with the number of those before it.
    Threads of one process do not exclude each other. Raises what `wait` raises, and OSError.
    """
    with path.open("a") as file:
        tries = 0
        while not _is_taken_by_us(file):
            wait(tries)
            tries += 1
        yield


def _is_taken_by_us(file: IO[str]) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True

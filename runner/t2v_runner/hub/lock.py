"""Locks between processes, also of several pods on one volume.

A lock of the kernel goes with its holder, however that one ends. It is a POSIX lock, since those
hold between the nodes of an NFS, CephFS or GPFS where `flock` may hold on each node alone. Shared,
it needs no more than reading: a volume that is mounted read-only will do.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

Wait = Callable[[int], None]
"""Called after each vain try, with the number of those before it. Raises, where waiting ends."""


class Lock:
    """The lock of one file, which stays. It is held until it is closed or its process ends.

    It is the process's: its threads do not exclude each other, and whoever opens and closes the
    same file once more in the process has taken the lock from it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> Self:
        """To be taken in either way; the file is made where there is none. Raises OSError."""
        return cls(os.open(path, os.O_RDWR | os.O_CREAT, 0o666))

    @classmethod
    def open_to_share(cls, path: Path) -> Self:
        """To be shared alone. Raises OSError."""
        return cls(os.open(path, os.O_RDONLY))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def is_ours_alone(self) -> bool:
        """Take it, unless any other process has it. Raises OSError."""
        return self._is_taken(fcntl.LOCK_EX)

    def is_shared(self) -> bool:
        """Take it beside others, or go over to that; not while another has it alone."""
        return self._is_taken(fcntl.LOCK_SH)

    def write(self, text: str) -> None:
        """Put `text` into the file in place of what stands there."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def _is_taken(self, kind: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, kind | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True


@contextlib.contextmanager
def alone(path: Path, wait: Wait) -> Iterator[None]:
    """Have the lock of the file at `path` alone. Raises what `wait` raises, and OSError."""
    with Lock.open(path) as lock:
        tries = 0
        while not lock.is_ours_alone():
            wait(tries)
            tries += 1
        yield

"""Bring files from disk while Python is busy importing. Knows nothing of what is in them.

A thread of its own does it in calls that need no Python lock, so that nobody waits for it.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

from t2v_runner.container import memory_bytes

PIECE_BYTES = 64 * 2**20
MEMORY_SHARE = 0.5
"""Of the container's: more would push out what was read first."""
TORCH_LIBRARIES = ("libtorch_cuda.so", "libtorch_cpu.so")
"""The first brings the second along; PyTorch for the CPU has the second alone."""


def read_ahead(files: Iterable[Path]) -> Thread:
    """Read them, in their order, into the page cache. What cannot be read is somebody else's."""
    thread = Thread(target=_read, args=(tuple(files),), daemon=True)
    thread.start()
    return thread


def open_torch_ahead() -> Thread:
    """Load PyTorch's libraries into this process; importing torch finds them there.

    Environment variables that they read must be set before.
    """
    thread = Thread(target=_open_torch, daemon=True)
    thread.start()
    return thread


def _read(files: tuple[Path, ...]) -> None:
    left = MEMORY_SHARE * memory_bytes()
    with Path(os.devnull).open("wb") as nowhere:
        for file in files:
            with contextlib.suppress(OSError), file.open("rb") as stream:
                left -= os.fstat(stream.fileno()).st_size
                if left < 0:
                    return
                offset = 0
                # Nothing is copied on this way: what is in the page cache already costs nothing.
                while sent := os.sendfile(nowhere.fileno(), stream.fileno(), offset, PIECE_BYTES):
                    offset += sent


def _open_torch() -> None:
    found = find_spec("torch")
    if found is None or found.origin is None:
        return
    folder = Path(found.origin).parent / "lib"
    # `ctypes.CDLL` would hold Python's lock; a function that it calls does not.
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype = ctypes.c_void_p
    for name in TORCH_LIBRARIES:
        dlopen(str(folder / name).encode(), ctypes.c_int(os.RTLD_LAZY))

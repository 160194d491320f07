"""Where the harness keeps its things: a folder of caches, in it one for the running cluster."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HARNESS = Path(__file__).resolve().parent
CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    / "text-to-video-operator"
    / "cluster"
)
RUN = CACHE / "run"


@contextmanager
def locked() -> Iterator[None]:
    """Keep two harnesses from starting, stopping or building at the same time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

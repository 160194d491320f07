"""Tell a person which step is under way and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print `name` and the seconds it took, on standard error."""
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        _say(f"{name}: failed after {time.monotonic() - begin:.1f} s")
        raise
    _say(f"{name}: {time.monotonic() - begin:.1f} s")


def _say(line: str) -> None:
    print(f"cluster: {line}", file=sys.stderr, flush=True)

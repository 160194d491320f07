"""Wait until something holds."""

import time
from collections.abc import Callable

from harness.errors import HarnessError


def wait_until(
    holds: Callable[[], bool],
    what: str,
    timeout_seconds: float = 60,
    every_seconds: float = 0.2,
) -> None:
    """Return as soon as `holds()` is true. Raises HarnessError, naming `what`, when too late."""
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise HarnessError(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(every_seconds)

"""How fast the operator writes what may wait, so that it does not get in the way of what may not.

A token bucket. In a burst of thousands of videos the API server is the narrow place: Jobs to make
and ends to record go first; nobody reads more statuses of waiting videos a second than these.
"""

import random
import time
from collections.abc import Callable


class Pace:
    """So many a second, after a burst."""

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._since = clock()

    def wait_seconds(self) -> float:
        """0 where it may go on at once; else how long to wait before asking again."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._per_second)
        self._since = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return random.uniform(0.5, 2.0)  # noqa: S311

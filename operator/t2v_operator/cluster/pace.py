"""How fast the operator writes what may wait, so that it does not get in the way of what may not.

In a burst of thousands of videos the API server is the narrow place: Jobs to make and ends to
record go first; nobody reads more statuses of waiting videos a second than these.
"""

import time
from collections.abc import Callable, Hashable


class Pace:
    """So many a second, after a burst. Each key that has to wait has a turn, in order."""

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1 / per_second
        self._slack = burst / per_second
        self._clock = clock
        self._next = clock() - self._slack
        self._turns: dict[Hashable, float] = {}

    def wait_seconds(self, key: Hashable) -> float:
        """0 when it is the key's turn, which is over then; else the seconds until it is."""
        now = self._clock()
        turn = self._turns.get(key)
        if turn is None:
            turn = max(self._next, now - self._slack)
            self._next = turn + self._interval
        if turn <= now:
            self._turns.pop(key, None)
            return 0.0
        self._turns[key] = turn
        return turn - now

    def forget(self, key: Hashable) -> None:
        """The key needs its turn no more."""
        self._turns.pop(key, None)

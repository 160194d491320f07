"""The times of all videos, followed change by change.

A change costs the place in a sorted list. The times of a pool are computed when they are asked for,
and not again for some seconds: a look at ten thousand videos is not ten thousand computations.
"""

import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

from t2v_operator.core.estimates.line import NEAR, InLine, Key, Seconds, Times, order, times_in

AGAIN_SECONDS = 5.0
"""Times are not computed again before that, whatever happens."""


class Forecasts:
    """What is expected of each video that has a Job."""

    def __init__(self, known: Seconds, usual: Seconds, gpus: Mapping[str, int | None]) -> None:
        """`known`, `usual`: what a video takes, as `times_in` has them.

        `gpus`: how many a pool has; None where that is not known.
        """
        self._known, self._usual = known, usual
        self._gpus = gpus
        self._seen: dict[Key, InLine] = {}
        self._pools: defaultdict[str, _Pool] = defaultdict(_Pool)

    def see(self, key: Key, after: InLine | None) -> None:
        """A resource's Job shows this; None: it has none that waits or runs."""
        before = self._seen.get(key)
        if before == after:
            return
        if before:
            self._pools[before.pool].remove(key, before)
            del self._seen[key]
        if after:
            self._pools[after.pool].add(key, after)
            self._seen[key] = after

    def of(self, key: Key, now: datetime) -> Times | None:
        """As it was computed last, some seconds ago at most. None where it cannot be told."""
        each = self._seen.get(key)
        return self._times(each.pool, now).get(key) if each else None

    def near(self, now: datetime) -> Iterator[tuple[Key, Times]]:
        """Those that wait at the head of each queue."""
        for name, pool in self._pools.items():
            times = self._times(name, now)
            for key in pool.first(NEAR):
                if found := times.get(key):
                    yield key, found

    def _times(self, name: str, now: datetime) -> Mapping[Key, Times]:
        pool, gpus = self._pools[name], self._gpus.get(name)
        return pool.times(now.timestamp(), gpus, self._known, self._usual)


class _Pool:
    """The videos of one pool, those that wait in their order."""

    def __init__(self) -> None:
        self._running: dict[Key, InLine] = {}
        self._queued: dict[Key, InLine] = {}
        self._order: list[tuple[object, ...]] = []
        self._computed: float | None = None
        self._times: dict[Key, Times] = {}

    def add(self, key: Key, each: InLine) -> None:
        if each.started:
            self._running[key] = each
        elif each.gpus:
            self._queued[key] = each
            bisect.insort(self._order, order(key, each))

    def remove(self, key: Key, each: InLine) -> None:
        self._times.pop(key, None)
        self._running.pop(key, None)
        if self._queued.pop(key, None):
            place = bisect.bisect_left(self._order, order(key, each))
            del self._order[place]

    def first(self, count: int) -> Iterator[Key]:
        return (_key(each) for each in self._order[:count])

    def times(
        self, now: float, gpus: int | None, known: Seconds, usual: Seconds
    ) -> dict[Key, Times]:
        if self._computed is None or not 0 <= now - self._computed < AGAIN_SECONDS:
            # Of a pool of unknown size it is known that what runs there has its GPUs.
            there = gpus or max(1, sum(each.gpus for each in self._running.values()))
            queued = ((key, self._queued[key]) for key in map(_key, self._order))
            self._times = times_in(self._running, queued, there, known, usual, now)
            self._computed = now
        return self._times


def _key(place: tuple[object, ...]) -> Key:
    key = place[2]
    assert isinstance(key, tuple)
    return key

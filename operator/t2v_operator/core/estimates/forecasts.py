"""The times of all videos, followed change by change.

A change costs the place in a sorted list, or, where somebody went before others, a sort. The times
of a pool are computed when they are asked for, and not again for some seconds: a look at ten
thousand videos is not ten thousand computations.
"""

import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

from t2v_operator.core.estimates.line import NEAR, InLine, Key, Seconds, Times, times_in
from t2v_operator.core.estimates.order import (
    Place,
    gets_its_gpus,
    is_passed_by,
    place_of,
    waits_on,
)

AGAIN_SECONDS = 0.001
"""For each video of the pool: so long times are not computed again, whatever happens."""
MOST_AGAIN_SECONDS = 5.0


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
        tries = None
        if before:
            pool = self._pools[before.pool]
            if after and gets_its_gpus(before, after):
                pool.goes_first(key)
            waited = pool.remove(key)
            if after and waits_on(before, after):
                tries = waited
            elif not (after and after.started):
                pool.forget(key)
            del self._seen[key]
        if after:
            self._pools[after.pool].add(key, after, tries)
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
        self._places: dict[Key, Place] = {}
        self._line: list[Place] = []
        self._tries = 0
        """How often anybody was passed over: who comes anew is tried after all of these."""
        self._computed: float | None = None
        self._times: dict[Key, Times] = {}

    def add(self, key: Key, each: InLine, tries: int | None) -> None:
        """`tries`: with which it waited so far; None where it is new."""
        if each.started:
            self._running[key] = each
        elif each.gpus:
            self._queued[key] = each
            place = place_of(key, each, self._tries if tries is None else tries)
            self._places[key] = place
            bisect.insort(self._line, place)

    def remove(self, key: Key) -> int | None:
        """Returns the tries with which it waited; None where it did not."""
        self._running.pop(key, None)
        self._queued.pop(key, None)
        place = self._places.pop(key, None)
        if place is None:
            return None
        del self._line[bisect.bisect_left(self._line, place)]
        return place.tries

    def forget(self, key: Key) -> None:
        """What was expected of it is no more."""
        self._times.pop(key, None)

    def goes_first(self, key: Key) -> None:
        """It gets its GPUs before those ahead of it, for which the scheduler has just found none.

        It takes first whom it tried longest ago: they come again when all others have.
        """
        own = self._places.get(key)
        if own is None:
            return
        ahead = self._line[: bisect.bisect_left(self._line, own)]
        passed = [each for each in ahead if is_passed_by(each, own)]
        if not passed:
            return
        for tries, each in enumerate(passed, start=self._tries + 1):
            self._places[each.key] = each._replace(tries=tries)
        self._tries += len(passed) + 1
        self._line = sorted(self._places.values())

    def first(self, count: int) -> Iterator[Key]:
        return (place.key for place in self._line[:count])

    def times(
        self, now: float, gpus: int | None, known: Seconds, usual: Seconds
    ) -> dict[Key, Times]:
        videos = len(self._running) + len(self._line)
        again = min(MOST_AGAIN_SECONDS, AGAIN_SECONDS * videos)
        if self._computed is None or not 0 <= now - self._computed < again:
            there = gpus or max(1, self._given())
            queued = ((place.key, self._queued[place.key]) for place in self._line)
            self._times = times_in(self._running, queued, there, known, usual, now)
            self._computed = now
        return self._times

    def _given(self) -> int:
        """The GPUs of those that run, or are about to: so many the pool has at least."""
        starting = (each for each in self._queued.values() if each.has_its_gpus)
        return sum(each.gpus for each in (*self._running.values(), *starting))

"""Who gets which GPU when: the videos of one pool, in the order of their queue. Pure."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from statistics import median
from typing import NamedTuple

from t2v_operator.core.estimates.seconds import Shape

Key = tuple[str, str]
"""Namespace and name of a resource."""
LATE_SHARE = 0.1
"""A run that takes longer than expected takes this part of that from now on."""
NEAR = 50
"""So many at the head of a queue are told what changes; those behind them, when they are near."""


class Standing(IntEnum):
    """How near a video that waits is to its GPUs."""

    HAS_A_NODE = 0
    WAITS_FOR_A_NODE = 1
    HAS_NO_POD = 2


class Turn(NamedTuple):
    """Of two videos that are alike in all else, the one with the smaller turn comes first."""

    standing: Standing
    since: float
    uid: str = ""


@dataclass(frozen=True, slots=True)
class InLine:
    """A video that has a Job, which waits or runs."""

    pool: str
    model: str
    gpus: int
    shape: Shape | None
    """None where its Job does not tell."""
    told_seconds: float | None
    """What its Job was expected to take when it was made."""
    turn: Turn
    priority: int = 0
    """The higher goes before all that have less."""
    started: datetime | None = None
    """None: it waits."""
    ends: datetime | None = None
    """As the runner itself says; None before it does."""

    @property
    def has_its_gpus(self) -> bool:
        """Whether it runs, or is about to."""
        return self.turn.standing is Standing.HAS_A_NODE


@dataclass(frozen=True, slots=True)
class Times:
    """When a video is expected to begin and to be finished, in seconds since 1970."""

    start: float
    completion: float
    is_near: bool
    """It runs, or is one of the next."""


Seconds = Callable[[InLine], float | None]


def times_in(
    running: Mapping[Key, InLine],
    queued: Iterable[tuple[Key, InLine]],
    gpus: int,
    known: Seconds,
    usual: Seconds,
    now: float,
) -> dict[Key, Times]:
    """Of all whose times can be told.

    `queued` in its order, each of which gets the GPUs that are free first. `known`: what a video
    takes, by others that are like it. `usual`: what is assumed of one that nothing is known of, for
    the sake of those behind it; its own times are not told.
    """
    guess = _by_those_that_run(running.values())
    found: dict[Key, Times] = {}
    free: list[float] = []
    for key, each in running.items():
        assert each.started
        taken = known(each) or guess(each)
        end = _end(each, taken or usual(each), now)
        if end is not None:
            free += [end] * each.gpus
            if taken or each.ends:
                found[key] = Times(each.started.timestamp(), end, is_near=True)
    free += [now] * max(0, gpus - sum(each.gpus for each in running.values()))
    heapq.heapify(free)
    for place, (key, each) in enumerate(queued):
        taken = known(each) or guess(each)
        assumed = taken or usual(each)
        if assumed is None or each.gpus > len(free):
            break  # of what is behind it nothing is known
        start = max(heapq.heappop(free) for _ in range(each.gpus))
        for _ in range(each.gpus):
            heapq.heappush(free, start + assumed)
        if taken:
            found[key] = Times(start, start + taken, is_near=place < NEAR)
    return found


def _end(each: InLine, expected: float | None, now: float) -> float | None:
    """When a run will be over: by its own word, else by what it was expected to take."""
    assert each.started
    began = each.started.timestamp()
    end = each.ends.timestamp() if each.ends else expected and began + expected
    if end is None or end > now:
        return end
    return now + LATE_SHARE * (expected or end - began)


def _by_those_that_run(running: Iterable[InLine]) -> Seconds:
    """Before any video was finished, those that tell their end say how fast their model is."""
    rates: dict[tuple[str, str], list[float]] = {}
    for each in running:
        if each.shape and each.started and each.ends:
            whole = (each.ends - each.started).total_seconds()
            rates.setdefault((each.model, each.pool), []).append(whole / each.shape.work)

    def guess(each: InLine) -> float | None:
        told: Sequence[float] = rates.get((each.model, each.pool), ())
        return median(told) * each.shape.work if told and each.shape else None

    return guess

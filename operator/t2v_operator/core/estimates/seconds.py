"""How long a video takes, by the runs of its model in its pool that are drawn in the same way.

A run is three parts: what is the same for every size (start, load), what grows with the pixels
(decode, encode), and the steps, each of which takes pixels to some power: attention makes it more
than one. The power comes from runs of several sizes, the rest from those of the nearest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from statistics import fmean, median

from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest

BY_STEPS = frozenset({Stage.DENOISE})
BY_PIXELS = frozenset({Stage.DECODE, Stage.ENCODE})
LATEST = 5
"""So many of the runs of one size count, the latest."""
LEAST_POWER, MOST_POWER = 1.0, 2.0
LEAST_SPREAD = 1.2
"""Sizes that differ by less tell nothing of the power."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a request tells how long it takes."""

    way: tuple[object, ...]
    """What multiplies a step's time or the number of steps, besides the size."""
    pixels: int
    """Of all frames."""
    steps: int

    @property
    def work(self) -> int:
        return self.pixels * self.steps


def shape_of(request: GenerationRequest) -> Shape:
    """What tells how long it takes to draw it."""
    is_guided = request.guidance_scale > 1
    return Shape(
        way=(request.scheduler, request.start, request.strength, is_guided, request.speed),
        pixels=request.width * request.height * request.num_frames,
        steps=request.num_inference_steps,
    )


@dataclass(frozen=True)
class Run:
    """A run that was measured: its shape, and the seconds of its parts."""

    shape: Shape
    timings: Mapping[str, float]

    @cached_property
    def constant(self) -> float:
        return sum(s for stage, s in self.timings.items() if stage not in BY_STEPS | BY_PIXELS)

    @cached_property
    def of_pixels(self) -> float:
        return sum(s for stage, s in self.timings.items() if stage in BY_PIXELS)

    @cached_property
    def of_a_step(self) -> float:
        whole = sum(s for stage, s in self.timings.items() if stage in BY_STEPS)
        return whole / self.shape.steps


def predicted(shape: Shape, runs: Sequence[Run]) -> float | None:
    """From the runner's start to the video; None where no run is drawn in the same way.

    `runs`: of the model in the pool, the latest last.
    """
    alike = [run for run in runs if run.shape.way == shape.way]
    if not alike:
        return None
    size = min((run.shape.pixels for run in alike), key=lambda each: _apart(each, shape.pixels))
    nearest = [run for run in alike if run.shape.pixels == size][-LATEST:]
    ratio = shape.pixels / size
    step: float = median(run.of_a_step for run in nearest) * ratio ** _power(alike)
    of_pixels = median(run.of_pixels for run in nearest) * ratio
    constant = median(run.constant for run in alike[-LATEST:])
    return constant + of_pixels + shape.steps * step


def by_ratio(shape: Shape, runs: Sequence[Run]) -> float | None:
    """Whatever way they were drawn in: by the pixels and steps alone."""
    rates = [sum(run.timings.values()) / run.shape.work for run in runs]
    return median(rates) * shape.work if rates else None


def _power(runs: Sequence[Run]) -> float:
    """Of the pixels, that a step's time grows with: the slope through all runs, in logarithms."""
    points = [(log(run.shape.pixels), log(run.of_a_step)) for run in runs if run.of_a_step > 0]
    if not points or max(x for x, _ in points) - min(x for x, _ in points) < log(LEAST_SPREAD):
        return LEAST_POWER
    middle_x, middle_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
    return min(max(slope, LEAST_POWER), MOST_POWER)


def _apart(one: int, other: int) -> float:
    """How many times the larger is the smaller."""
    return max(one, other) / min(one, other)

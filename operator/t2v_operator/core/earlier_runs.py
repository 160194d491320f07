"""How long videos took, and so how long the next one may take. Pure; knows no cluster.

A run says something of another one of the same model in the same pool that is drawn in the same
way: by its scheduler, from the same kind of start, guided or not. Between two sizes time is taken
to grow with the work, which is too little for much larger videos: attention grows faster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from t2v_api.base import ContractError
from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest
from t2v_api.resource import Phase, TextToVideoJobStatus

KEPT_RUNS = 8
"""Of each model in each pool, the latest."""
STATUS_FIELDS = ("pool", "resolved", "timings", "completionTime")

BY_STEPS = (Stage.DENOISE,)
BY_PIXELS = (Stage.DECODE, Stage.ENCODE)
"""The other stages take as long for every video."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A video that was made, and the seconds of each stage."""

    completed: datetime
    pool: str
    request: GenerationRequest
    timings: dict[str, float]


class EarlierRuns:
    """The latest runs of each model in each pool."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], tuple[EarlierRun, ...]] = {}
        self._means: dict[tuple[str, str], float] = {}

    def of(self, model: str) -> tuple[EarlierRun, ...]:
        """In all pools; of each pool the latest last."""
        return tuple(
            run for (name, _), runs in self._latest.items() if name == model for run in runs
        )

    def usual_seconds(self, model: str) -> float | None:
        """What a video of the model takes, whatever it is asked for; None where none was made.

        Of a model that nothing is known of: what a video of any model takes.
        """
        own = [mean for (name, _), mean in self._means.items() if name == model]
        means = own or list(self._means.values())
        return sum(means) / len(means) if means else None

    def take(self, resource: dict[str, Any]) -> None:
        """Keep what a resource tells of a finished video; from any other nothing is learnt."""
        run = self._new_run(resource.get("status") or {})
        if run is None:
            return
        key = (run.request.model_id, run.pool)
        runs = sorted((*self._latest.get(key, ()), run), key=lambda each: each.completed)
        self._latest[key] = latest = tuple(runs[-KEPT_RUNS:])
        self._means[key] = sum(sum(run.timings.values()) for run in latest) / len(latest)

    def _new_run(self, status: dict[str, Any]) -> EarlierRun | None:
        """Of thousands of resources few are read whole: most are older than what is kept."""
        if status.get("phase") != Phase.SUCCEEDED or status.get("reused"):
            return None  # the timings of a video that was taken are another one's
        if not all(status.get(name) for name in STATUS_FIELDS):
            return None  # it was restored from its record, or its pod's record was lost
        latest = self._latest.get((status["resolved"]["modelId"], status["pool"]), ())
        completed = datetime.fromisoformat(status["completionTime"])
        if len(latest) == KEPT_RUNS and completed < latest[0].completed:
            return None
        run = _read(status)
        return None if run in latest else run


def expected_seconds(
    request: GenerationRequest, pool: str, runs: Sequence[EarlierRun]
) -> float | None:
    """From the runner's start to the finished video; None where no run is like it.

    By the run whose size is nearest, the latest of these.
    """
    alike = [run for run in runs if run.pool == pool and _way(run.request) == _way(request)]
    if not alike:
        return None
    work = _steps_work(request)
    nearest = min(reversed(alike), key=lambda run: _distance(work, _steps_work(run.request)))
    by_steps = work / _steps_work(nearest.request)
    by_pixels = _pixels(request) / _pixels(nearest.request)
    factors = dict.fromkeys(BY_STEPS, by_steps) | dict.fromkeys(BY_PIXELS, by_pixels)
    seconds = sum(
        taken * factors.get(Stage(stage), 1.0) for stage, taken in nearest.timings.items()
    )
    return round(seconds, 1)


def _read(status: dict[str, Any]) -> EarlierRun | None:
    """None for one of another version."""
    try:
        made = TextToVideoJobStatus.parse({name: status[name] for name in STATUS_FIELDS})
    except ContractError:
        return None
    assert made.completion_time
    assert made.pool
    assert made.resolved
    assert made.timings
    if not set(made.timings) <= set(Stage):
        return None
    return EarlierRun(made.completion_time, made.pool, made.resolved.request, made.timings)


def _way(request: GenerationRequest) -> tuple[object, ...]:
    """What of a request multiplies a step's time or the number of steps, besides its size."""
    is_guided = request.guidance_scale > 1
    return request.scheduler, request.start, request.strength, is_guided, request.speed


def _pixels(request: GenerationRequest) -> int:
    return request.width * request.height * request.num_frames


def _steps_work(request: GenerationRequest) -> int:
    return _pixels(request) * request.num_inference_steps


def _distance(one: int, other: int) -> float:
    """How many times the larger is the smaller."""
    return max(one, other) / min(one, other)

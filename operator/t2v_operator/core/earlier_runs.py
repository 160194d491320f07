"""How long videos took, and so how long the next one may take. Pure; knows no cluster.

A run says something of another one of the same model in the same pool that is drawn in the same
way: by its scheduler, from the same kind of start, guided or not. How is `estimates/seconds`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from t2v_api.base import ContractError
from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest
from t2v_api.resource import Phase, TextToVideoJobStatus

from t2v_operator.core.estimates.seconds import Run, Shape, by_ratio, predicted, shape_of

KEPT_RUNS = 16
"""Of each model in each pool, the latest."""
STATUS_FIELDS = ("pool", "resolved", "timings", "completionTime")


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A video that was made, and the seconds of each stage."""

    completed: datetime
    pool: str
    request: GenerationRequest
    timings: dict[str, float]

    @property
    def measured(self) -> Run:
        """What it tells of others."""
        return Run(shape_of(self.request), self.timings)


class EarlierRuns:
    """The latest runs of each model in each pool."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], tuple[EarlierRun, ...]] = {}
        self._measured: dict[tuple[str, str], tuple[Run, ...]] = {}
        self._predicted: dict[tuple[str, str], dict[Shape, float | None]] = {}
        """What was asked for since the last video of the model in the pool."""
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

    def predicted(self, model: str, pool: str, shape: Shape) -> float | None:
        """What a video of this shape takes; None where nothing of its model is known.

        Where no run in the pool is like it: as long as others of the model, by their work.
        """
        key = (model, pool)
        known = self._predicted.setdefault(key, {})
        if shape not in known:
            there = self._measured.get(key, ())
            known[shape] = predicted(shape, there) or by_ratio(shape, there or self._any(model))
        return known[shape]

    def _any(self, model: str) -> tuple[Run, ...]:
        """In whichever pool."""
        return tuple(
            run for (name, _), runs in self._measured.items() if name == model for run in runs
        )

    def take(self, resource: dict[str, Any]) -> None:
        """Keep what a resource tells of a finished video; from any other nothing is learnt."""
        run = self._new_run(resource.get("status") or {})
        if run is None:
            return
        key = (run.request.model_id, run.pool)
        runs = sorted((*self._latest.get(key, ()), run), key=lambda each: each.completed)
        self._latest[key] = latest = tuple(runs[-KEPT_RUNS:])
        self._measured[key] = tuple(each.measured for each in latest)
        for each in [each for each in self._predicted if each[0] == run.request.model_id]:
            del self._predicted[each]
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
    """From the runner's start to the finished video; None where no run is like it."""
    there = [run.measured for run in runs if run.pool == pool]
    seconds = predicted(shape_of(request), there)
    return None if seconds is None else round(seconds, 1)


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

"""What every rule about a VideoModel looks at, and the statuses that they write. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from t2v_api.progress import Progress
from t2v_api.reasons import ModelReason
from t2v_api.video_model import PoolStatus, VideoModelSpec, VideoModelStatus

from t2v_operator.config import OperatorConfig
from t2v_operator.core.conditions import conditions
from t2v_operator.core.decision import Action
from t2v_operator.core.models.missing import Missed
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.models.prefetch_job import prefetch_job_name, prefetch_pools
from t2v_operator.core.observed import ObservedJob, ObservedPod

READY = frozenset({ModelReason.AVAILABLE})
ON_THE_WAY = frozenset({ModelReason.PREFETCHING, ModelReason.MISSING_IN_CACHE, ModelReason.IN_USE})
"""All others do not end by themselves: somebody has to look."""

KEPT = (
    "sources",
    "cache",
    "commit",
    "motion_adapter_commit",
    "sha256",
    "converted_to",
    "fetched_time",
    "fetched_bytes",
    "fetch_seconds",
    "missing_time",
)
"""Of what was fetched last: one status hands it on to the next."""


@dataclass(frozen=True)
class ModelDecision:
    """What to do, then what to say, then when to look again."""

    status: VideoModelStatus | None
    """None: leave it as it is."""
    actions: tuple[Action, ...] = ()
    again_seconds: float | None = None
    """None: when something changes."""


@dataclass(frozen=True)
class ModelSituation:
    """One VideoModel as it is seen, with all that belongs to it, and the configuration."""

    model: ObservedModel
    config: OperatorConfig
    now: datetime
    jobs: Sequence[ObservedJob] = ()
    """Those that fetch it, for its spec as it is or was."""
    pods: Sequence[ObservedPod] = ()
    """Of all of them, the oldest first."""
    progress: Progress | None = None
    """The running pod's latest report."""
    to_keep: Sequence[str] = ()
    """What must stay in the model cache, as it names models."""
    users: Sequence[str] = ()
    """Who draws with it: `namespace/name` of each Job that has not ended."""
    missed: Sequence[Missed] = ()
    """What the pods of unfinished videos looked for in vain."""

    @property
    def spec(self) -> VideoModelSpec:
        assert self.model.spec  # the rule before those that ask has dealt with others
        return self.model.spec

    @property
    def job(self) -> ObservedJob | None:
        """The one that fetches it as the spec is now."""
        if self.model.spec is None or self.model.spec.prefetch is None:
            return None
        name = prefetch_job_name(self.model, self.config)
        return next((job for job in self._own_jobs if job.name == name), None)

    @property
    def earlier_jobs(self) -> tuple[ObservedJob, ...]:
        """Those for its spec as it was."""
        return tuple(job for job in self._own_jobs if job is not self.job)

    @property
    def job_pods(self) -> tuple[ObservedPod, ...]:
        job = self.job
        return tuple(pod for pod in self.pods if job and pod.job_uid == job.uid)

    @property
    def _own_jobs(self) -> tuple[ObservedJob, ...]:
        return tuple(job for job in self.jobs if job.owner_uid == self.model.metadata.uid)

    def status(self, reason: ModelReason, message: str, **fields: Any) -> VideoModelStatus:
        """The status with this reason; `fields` go over what was known of the last fetch."""
        before, generation = self.model.status, self.model.metadata.generation
        kept = {name: getattr(before, name) for name in KEPT} if before else {}
        holds = {
            "Ready": reason in READY,
            "Reconciling": reason in ON_THE_WAY,
            "Stalled": reason not in READY | ON_THE_WAY,
        }
        told = before.conditions if before else ()
        common = {
            "observed_generation": generation,
            "conditions": conditions(holds, reason, message, generation, self.now, told),
            "message": message,
        }
        return VideoModelStatus(**(kept | common | fields))

    def stalled(self, reason: ModelReason, message: str, **fields: Any) -> ModelDecision:
        return ModelDecision(self.status(reason, message, **fields))

    def pools(self, ready: bool) -> tuple[PoolStatus, ...]:
        """The pools that it is fetched for: where all share one cache, all of them or none."""
        pools = prefetch_pools(self.model, self.config)
        return tuple(PoolStatus(name=pool.name, ready=ready) for pool in pools)

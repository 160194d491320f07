"""What every rule about a VideoModel looks at, and the statuses that they write. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from t2v_api.progress import Progress
from t2v_api.reasons import ModelReason
from t2v_api.video_model import NodeStatus, PoolStatus, VideoModelSpec, VideoModelStatus

from t2v_operator.config import OperatorConfig
from t2v_operator.core.conditions import conditions
from t2v_operator.core.decision import Action, CreateJob, Refusal
from t2v_operator.core.models.missing import Missed
from t2v_operator.core.models.nodes import ObservedNode, is_of_pool
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.models.prefetch_job import Commits, prefetch_job_name, prefetch_pools
from t2v_operator.core.observed import ObservedJob, ObservedPod, running_pod

READY = frozenset({ModelReason.AVAILABLE})
ON_THE_WAY = frozenset(
    {
        ModelReason.PREFETCHING,
        ModelReason.MISSING_IN_CACHE,
        ModelReason.NO_NODE,
        ModelReason.IN_USE,
    }
)
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
    "nodes",
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
    reports: Mapping[str, Progress] = field(default_factory=dict)
    """The latest of each pod, by the pod's name."""
    to_keep: Sequence[str] = ()
    """What must stay in the model cache, as it names models."""
    users: Sequence[str] = ()
    """Who draws with it: `namespace/name` of each Job that has not ended."""
    missed: Sequence[Missed] = ()
    """What the pods of unfinished videos looked for in vain."""
    nodes: Sequence[ObservedNode] = ()
    """All nodes, where each has a cache of its own."""
    node: ObservedNode | None = None
    """The one that this is about, as if there was no other."""
    commits: Commits | None = None
    """What is to be fetched there; None: what a branch or tag names then."""

    @property
    def spec(self) -> VideoModelSpec:
        assert self.model.spec  # the rule before those that ask has dealt with others
        return self.model.spec

    def at(self, node: ObservedNode, commits: Commits | None) -> "ModelSituation":
        """The same for one node alone, as if its cache was the only one."""
        return replace(
            self,
            model=self.model.on_node(self.told_of(node)),
            missed=[each for each in self.missed if each.node == node.name],
            node=node,
            commits=commits,
        )

    def has_it(self, node: ObservedNode) -> bool:
        """Whether the node has what the spec asks for, as far as the status knows."""
        told = self.told_of(node)
        return told is not None and told.ready

    def told_of(self, node: ObservedNode) -> NodeStatus | None:
        """What the status knows of the node, for what the spec asks for."""
        return self._told_of.get((node.name, node.uid))

    @cached_property
    def _told_of(self) -> Mapping[tuple[str, str], NodeStatus]:
        status = self.model.status if self.is_of_this_fetch else None
        return {(node.name, node.uid): node for node in status.nodes} if status else {}

    @cached_property
    def missed_on(self) -> frozenset[str | None]:
        """The nodes where a pod looked for it in vain, whether or not that says anything still."""
        return frozenset(each.node for each in self.missed)

    @property
    def is_of_this_fetch(self) -> bool:
        """Whether what the status knows of a fetch is of the spec as it is now."""
        before = self.model.status
        wanted = (self.spec.sources, self.config.model_cache.named)
        return before is not None and (before.sources, before.cache) == wanted

    @cached_property
    def members(self) -> tuple[ObservedNode, ...]:
        """The nodes that need it, by name."""
        pools, needs_gpu = prefetch_pools(self.model, self.config), self.spec.resources.gpus > 0
        members = (
            node for node in self.nodes if any(is_of_pool(node, pool, needs_gpu) for pool in pools)
        )
        return tuple(sorted(members, key=lambda node: node.name))

    @property
    def job(self) -> ObservedJob | None:
        """The one that fetches it as the spec is now."""
        if self.model.spec is None or self.model.spec.prefetch is None:
            return None
        if self.config.model_cache.is_of_each_node and self.node is None:
            return None
        if not self._own_jobs:
            return None
        name = prefetch_job_name(self.model, self.config, self.node)
        return next((job for job in self._own_jobs if job.name == name), None)

    @property
    def progress(self) -> Progress | None:
        """What the running pod of that Job told last."""
        pod = running_pod(self.job_pods)
        return self.reports.get(pod.name) if pod else None

    @property
    def earlier_jobs(self) -> tuple[ObservedJob, ...]:
        """Those that are not needed any more: for the spec as it was, or for nodes that have it."""
        if not self._own_jobs or self.model.spec is None or self.model.spec.prefetch is None:
            return self._own_jobs
        wanted = {prefetch_job_name(self.model, self.config)}
        if self.config.model_cache.is_of_each_node:
            lacking = (node for node in self.members if not self.has_it(node))
            models = ((self.model.on_node(self.told_of(node)), node) for node in lacking)
            wanted = {prefetch_job_name(model, self.config, node) for model, node in models}
        return tuple(job for job in self._own_jobs if job.name not in wanted)

    @property
    def job_pods(self) -> tuple[ObservedPod, ...]:
        job = self.job
        return tuple(pod for pod in self.pods if job and pod.job_uid == job.uid)

    @cached_property
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

    def refused(self, decision: ModelDecision, refusal: Refusal) -> VideoModelStatus:
        """What follows where the API server does not perform an action: what some nodes have is
        there anyway, and nobody has to look at what may pass by itself."""
        decided = decision.status
        assert decided  # nothing is done without a word
        creates = isinstance(refusal.action, CreateJob)
        verb = "refused" if refusal.is_final else "could not take"
        what = "the Job that fetches it" if creates else "a change of what fetches it"
        message = f"the API server {verb} {what}: {refusal.complaint}"
        reason = ModelReason(decided.conditions[0].reason)
        if creates and refusal.is_final and reason not in READY:
            return self.status(ModelReason.JOB_NOT_CREATED, message)
        if not creates or reason in READY:
            message = f"{decided.message}; {message}"
        told = self.status(reason, message)
        return decided.model_copy(update={"conditions": told.conditions, "message": message})

    def pools(self, ready: bool) -> tuple[PoolStatus, ...]:
        """The pools that it is fetched for: where all share one cache, all of them or none."""
        pools = prefetch_pools(self.model, self.config)
        return tuple(PoolStatus(name=pool.name, ready=ready) for pool in pools)

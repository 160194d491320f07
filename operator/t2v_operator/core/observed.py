"""What is seen of one resource and of its children: records, and questions about them. Pure.

A cache keeps them instead of the API's objects, so they hold what decisions rest on, no more. The
neighbour that makes them from objects is `observe`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from t2v_api.api_key import ApiKey
from t2v_api.progress import Progress
from t2v_api.reasons import Waiting
from t2v_api.resource import (
    ObjectMeta,
    OutputPolicy,
    Phase,
    TextToVideoJob,
    TextToVideoJobSpec,
    TextToVideoJobStatus,
)
from t2v_api.result import GenerationResult

from t2v_operator.core.earlier_runs import EarlierRun
from t2v_operator.core.enhancing import Answer
from t2v_operator.core.estimates.line import Times
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.names import (
    RECORD_ANNOTATION,
    RENEW_LINKS_ANNOTATION,
    folder_in,
    job_name_of,
    try_of,
)
from t2v_operator.core.plan import Plan, PlanText

FINAL = (Phase.SUCCEEDED, Phase.FAILED)
STILL_THERE_SECONDS = 30.0
"""A pod that is there so long after its grace period has a node that does not answer."""


@dataclass(frozen=True)
class ObservedResource:
    """A TextToVideoJob as the API server holds it."""

    metadata: ObjectMeta
    spec: TextToVideoJobSpec | None
    """None where the spec does not fit the contract; `complaint` then says why."""
    complaint: str
    unknown_fields: tuple[str, ...]
    """Fields of the spec that this version does not know: they belong to a newer CRD."""
    request_hash: str
    status: TextToVideoJobStatus | None
    is_being_deleted: bool
    has_finalizer: bool = False
    """Whether its files are to be removed before it goes."""
    keeper: str = ""
    """Who would make it again if it were deleted; empty where nobody does."""

    @property
    def finalizer_is_due(self) -> bool:
        """Whether the finalizer is to be added, removed, or acted on."""
        if self.is_being_deleted or self.spec is None:
            return self.is_being_deleted and self.has_finalizer
        return (self.spec.output_policy is OutputPolicy.DELETE) != self.has_finalizer

    @property
    def folder(self) -> str:
        """Names the place of its video; empty without one."""
        return folder_in(self.status.output if self.status else ())

    @property
    def unfinished_folder(self) -> str:
        """Where a video that failed would be, and its checkpoint may; empty for any other."""
        status = self.status
        if status is None or status.phase is not Phase.FAILED or status.resolved is None:
            return ""
        return status.resolved.request.digest(status.resolved.model_revision)

    @property
    def is_observed(self) -> bool:
        """Whether the status is about the spec as it is now."""
        return (
            self.status is not None and self.status.observed_generation == self.metadata.generation
        )

    @property
    def is_finished(self) -> bool:
        """Whether the present request has come to its end."""
        status = self.status
        return (
            status is not None
            and status.request_hash == self.request_hash
            and status.phase in FINAL
            and not self.is_asked_again
        )

    @property
    def is_asked_again(self) -> bool:
        """Whether the present request has failed and a new `retryToken` asks for another try."""
        status, spec = self.status, self.spec
        if status is None or spec is None or spec.retry_token is None or spec.cancel:
            return False
        failed = status.phase is Phase.FAILED and status.request_hash == self.request_hash
        return failed and spec.retry_token not in (status.retry_tokens or ())

    @property
    def job_name(self) -> str:
        """The name of the Job that makes the present request, in its present try."""
        status, token = self.status, self.spec.retry_token if self.spec else None
        same = status is not None and status.request_hash == self.request_hash
        if status and status.job_name and same and not self.is_asked_again:
            return status.job_name
        return job_name_of(self.metadata.name, try_of(self.request_hash, token))

    @property
    def job_names(self) -> set[str]:
        """The names of the Jobs of the present request: of this try, and of those before it."""
        tokens = (self.status.retry_tokens or ()) if self.status else ()
        tries = (try_of(self.request_hash, token) for token in (None, *tokens))
        return {self.job_name, *(job_name_of(self.metadata.name, each) for each in tries)}

    @property
    def wants_new_links(self) -> bool:
        """Whether somebody asked for links anew."""
        asked = self.metadata.annotations.get(RENEW_LINKS_ANNOTATION)
        return bool(asked) and self.status is not None and asked != self.status.link_renewal

    @property
    def record(self) -> str | None:
        """What an earlier look left on the resource about its end, unread."""
        return self.metadata.annotations.get(RECORD_ANNOTATION)

    @property
    def as_contract(self) -> TextToVideoJob:
        """The resource itself; only for one whose spec fits."""
        assert self.spec
        return TextToVideoJob(
            api_version="textto.video/v1alpha1",
            kind="TextToVideoJob",
            metadata=self.metadata,
            spec=self.spec,
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """A finished resource for which nothing is left to do but to remove in time what is its."""

    uid: str
    resource_version: str
    phase: str
    reason: str
    model: str
    pool: str
    job_name: str
    completed: datetime | None
    ttl_seconds: int | None
    webhook_is_due: bool = False
    """Somebody is still to be told of it."""
    finalizer_is_due: bool = False
    folder: str = ""
    """Names the place of its video."""
    output_ttl_seconds: int | None = None
    """After so many seconds its files go; None where they never do, or nothing is left to go."""


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video that was made before, and the plan of the Job that would make it again."""

    record: GenerationResult
    plan: Plan


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """A Job with our label."""

    name: str
    uid: str
    owner: str
    """Kind and name of the controlling owner, for messages; empty without one."""
    owner_uid: str
    created: datetime | None
    is_being_deleted: bool
    suspended: bool
    active_deadline_seconds: int | None
    backoff_limit: int
    applied: dict[str, Any]
    """The resource's values that the Job was last brought into line with."""
    queue: str
    """The Kueue queue that it waits in; empty without one."""
    queue_priority: str
    managed_by: str
    """Who runs its pods where the Job controller does not."""
    active_pods: int
    """As the Job's own status counts them."""
    is_complete: bool
    failure: tuple[str, str] | None
    """The Failed condition's reason and message."""
    finished: datetime | None
    plan_text: PlanText | None
    handed_in: str = ""
    """The record that the runner handed in; empty without one."""
    model: str = ""
    """The model that it draws with."""
    key: str = ""
    """The id of the API key that it was made with; empty without one."""

    @property
    def is_finished(self) -> bool:
        return self.is_complete or self.failure is not None

    @property
    def has_local_pods(self) -> bool:
        """Whether its pods run in this cluster."""
        return self.managed_by in ("", "kubernetes.io/job-controller")

    @property
    def plan(self) -> Plan | None:
        return self.plan_text.read() if self.plan_text else None


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How the runner's container ended."""

    exit_code: int
    reason: str
    """The kubelet's, such as Completed, Error, OOMKilled."""
    message: str
    """The termination message."""
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class PodWait:
    """Why a pod's container does not run yet."""

    reason: Waiting
    message: str
    since: datetime

    @property
    def is_for_a_gpu(self) -> bool:
        return self.reason is Waiting.UNSCHEDULABLE


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """A pod of one of our Jobs."""

    name: str
    uid: str
    job_uid: str
    pool: str
    """The GPU pool that it was made for; empty where it does not say."""
    version: int = field(compare=False)
    """Its resourceVersion: who has the smaller one was there, or was changed, before. A new one
    alone is no news."""
    node: str
    created: datetime
    waiting: PodWait | None
    """None when its container runs or did."""
    started: datetime | None
    end: ContainerEnd | None
    restarts: int
    """How often its container was started again."""
    earlier_end: ContainerEnd | None
    """How its container ended the last time, where it was started again, or is about to be."""
    priority: int
    """Its PriorityClass's, by which it is scheduled."""
    loss: str
    """Why the pod was taken away (evicted, preempted, node lost); empty when it was not."""
    lost_at: datetime | None
    """When it was taken away, where the pod says so."""
    node_was_lost: bool
    """The loss is that of its node."""
    was_preempted: bool
    """The scheduler gave its place to a pod of a higher priority."""
    is_over: bool
    not_ready_since: datetime | None
    """Since when the node controller says that the pod, whose container runs, is not ready: it
    does so where a node does not answer."""
    gone_by: datetime | None
    """When the pod should be gone, if it is being deleted."""

    @property
    def is_running(self) -> bool:
        return self.started is not None and not self.is_over

    @property
    def as_gone(self) -> "ObservedPod":
        """The pod after its deletion: whatever it was doing, it does no more."""
        return replace(self, is_over=True, waiting=None)

    def lost_since(self, now: datetime) -> datetime | None:
        """Since when the node does not answer, as far as the pod shows it."""
        if self.is_over:
            return None
        if self.gone_by is not None:
            late = self.gone_by + timedelta(seconds=STILL_THERE_SECONDS)
            return self.gone_by if now >= late else None
        return self.not_ready_since


@dataclass(frozen=True, slots=True)
class ObservedWorkload:
    """What Kueue makes of a Job."""

    name: str
    uid: str
    job_uid: str
    created: datetime
    priority: int
    is_active: bool
    has_quota: bool
    """Kueue holds a GPU for it, though it may check more before it admits it."""
    was_preempted: bool
    message: str
    """Why it has no quota, in Kueue's words."""
    since: datetime
    """When it began to wait for quota."""


@dataclass(frozen=True)
class Observed:
    """Everything that a decision about one resource rests on."""

    resource: ObservedResource
    job: ObservedJob | None
    """The Job with the name that the present request's Job has, whoever owns it."""
    earlier_jobs: tuple[ObservedJob, ...]
    """Jobs of this resource for earlier requests."""
    pods: tuple[ObservedPod, ...]
    """Of `job`, the oldest first."""
    now: datetime
    earlier_pods: tuple[ObservedPod, ...] = ()
    """Of `earlier_jobs`."""
    workload: ObservedWorkload | None = None
    """Kueue's, of `job`."""
    stored: StoredVideo | None = None
    """This very video, where it is in the store already."""
    twin: str = ""
    """The resource that makes this very video just now; empty where none does."""
    progress: Progress | None = None
    """The running pod's latest report."""
    complaint: str = ""
    """The latest warning about what does not go on, from the cluster's Events."""
    queue_priority_is_known: bool = True
    """Whether the WorkloadPriorityClass that the resource names is there."""
    answer: Answer | None = None
    """What came of asking a language model for a better prompt; None where nobody was asked."""
    key: ApiKey | KeyProblem | None = None
    """The API key that it has, or why it has not the one that it names; None where it names none,
    and where the operator uses no keys."""
    earlier_runs: tuple[EarlierRun, ...] = ()
    """How long the latest videos of its model took."""
    models: Mapping[str, ObservedModel] = field(default_factory=dict)
    """Every VideoModel by its name."""
    times: Times | None = None
    """When it is expected to begin and to be finished, where that can be told."""
    load: Mapping[str, float] = field(default_factory=dict)
    """GPU-seconds of other videos' work by pool, queued and running, where this one's pool is
    chosen by it."""


def running_pod(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """The latest pod that runs."""
    return next((pod for pod in reversed(pods) if pod.is_running), None)


def waiting_pod(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """The latest pod that does not run yet."""
    return next((pod for pod in reversed(pods) if pod.waiting), None)


PATIENCE_SECONDS = 20.0
"""A Job without a pod, or a pod that has a node and does not start, is asked about after that."""


def object_to_ask_about(observed: Observed) -> str | None:
    """The uid of what does not go on and does not say why: the cluster's Events may."""
    job, pods = observed.job, observed.pods
    if observed.resource.is_finished or job is None or job.is_finished or job.suspended:
        return None
    pod = waiting_pod(pods)
    if pod and pod.waiting:
        is_silent = pod.waiting.message == "ContainerCreating"
        return pod.uid if is_silent and _is_old(pod.waiting.since, observed.now) else None
    is_without_a_pod = job.has_local_pods and all(each.is_over for each in pods)
    created = max([each.created for each in pods], default=job.created)
    return job.uid if is_without_a_pod and created and _is_old(created, observed.now) else None


def _is_old(time: datetime, now: datetime) -> bool:
    return (now - time).total_seconds() >= PATIENCE_SECONDS

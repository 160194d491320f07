"""What is seen of one resource and of its children, parsed from the API's objects. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from t2v_api.base import ContractError
from t2v_api.progress import Progress
from t2v_api.reasons import Waiting
from t2v_api.resource import (
    ObjectMeta,
    Phase,
    TextToVideoJob,
    TextToVideoJobSpec,
    TextToVideoJobStatus,
    hash_of,
)

from t2v_operator.core.job import CONTAINER, Manifest
from t2v_operator.core.names import job_name_of
from t2v_operator.core.plan import Plan, read_plan


@dataclass(frozen=True)
class ObservedResource:
    """A TextToVideoJob as the API server holds it."""

    metadata: ObjectMeta
    spec: TextToVideoJobSpec | None
    """None where the spec does not fit the contract; `complaint` then says why."""
    complaint: str
    request_hash: str
    status: TextToVideoJobStatus | None
    is_being_deleted: bool

    @property
    def is_finished(self) -> bool:
        """Whether the present request has come to its end."""
        status = self.status
        return (
            status is not None
            and status.request_hash == self.request_hash
            and status.phase in (Phase.SUCCEEDED, Phase.FAILED)
        )

    @property
    def job_name(self) -> str:
        """The name of the Job that makes the present request."""
        return job_name_of(self.metadata.name, self.request_hash)

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


@dataclass(frozen=True)
class ObservedJob:
    """A Job with our label."""

    name: str
    uid: str
    owner: str
    """Kind and name of the controlling owner, for messages; empty without one."""
    owner_uid: str
    is_being_deleted: bool
    suspended: bool
    active_deadline_seconds: int | None
    backoff_limit: int
    is_complete: bool
    failure: tuple[str, str] | None
    """The Failed condition's reason and message."""
    finished: datetime | None
    plan: Plan | None

    @property
    def is_finished(self) -> bool:
        return self.is_complete or self.failure is not None


@dataclass(frozen=True)
class ContainerEnd:
    """How the runner's container ended."""

    exit_code: int
    reason: str
    """The kubelet's, such as Completed, Error, OOMKilled."""
    message: str
    """The termination message."""
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True)
class ObservedPod:
    """A pod of one of our Jobs."""

    name: str
    job_uid: str
    created: datetime
    waiting: tuple[Waiting, str] | None
    """Why its container does not run yet; None when it does or did."""
    started: datetime | None
    end: ContainerEnd | None
    loss: str
    """Why the pod was taken away (evicted, preempted, node lost); empty when it was not."""
    is_over: bool

    @property
    def is_running(self) -> bool:
        return self.started is not None and not self.is_over


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
    progress: Progress | None
    """The running pod's latest report."""
    trouble: str
    """What the Job controller says where it cannot make a pod."""
    now: datetime


def running_pod(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """The latest pod that runs."""
    return next((pod for pod in reversed(pods) if pod.is_running), None)


def observe_resource(document: Manifest) -> ObservedResource:
    """Parse a resource. A spec that does not fit is kept as a complaint, not raised."""
    spec, complaint = None, ""
    try:
        spec = TextToVideoJobSpec.parse(_known(document.get("spec")), at="spec")
    except ContractError as error:
        complaint = str(error)
    return ObservedResource(
        metadata=ObjectMeta.parse(document["metadata"], at="metadata"),
        spec=spec,
        complaint=complaint,
        request_hash=spec.request_hash if spec else hash_of(document.get("spec")),
        status=_status(document.get("status")),
        is_being_deleted="deletionTimestamp" in document["metadata"],
    )


def _known(spec: Any) -> Any:
    """The fields of a spec that this version knows.

    The API server has refused misspelt ones; what is left over belongs to a newer CRD, and must
    not make an older operator give up what it has done.
    """
    if not isinstance(spec, dict):
        return spec
    known = {field.alias for field in TextToVideoJobSpec.model_fields.values()}
    return {name: value for name, value in spec.items() if name in known}


def _status(document: Any) -> TextToVideoJobStatus | None:
    """The status. Of one that another version wrote, what says whether the work is done."""
    if not document:
        return None
    try:
        return TextToVideoJobStatus.parse(document, at="status")
    except ContractError:
        phase = document.get("phase")
        known = phase in set(Phase) and isinstance(document.get("requestHash"), str)
        kept = {"phase": phase, "requestHash": document["requestHash"]} if known else {}
        return TextToVideoJobStatus.parse(kept)


def observe_job(document: Manifest) -> ObservedJob:
    """Parse a Job."""
    metadata, spec = document["metadata"], document["spec"]
    conditions = _true_conditions(document)
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    failed = conditions.get("Failed")
    ended = conditions.get("Complete") or failed
    return ObservedJob(
        name=metadata["name"],
        uid=metadata["uid"],
        owner=f"{owner['kind']} {owner['name']}" if owner else "",
        owner_uid=owner["uid"] if owner else "",
        is_being_deleted="deletionTimestamp" in metadata,
        suspended=bool(spec.get("suspend")),
        active_deadline_seconds=spec.get("activeDeadlineSeconds"),
        backoff_limit=spec.get("backoffLimit", 0),
        is_complete="Complete" in conditions,
        failure=(failed.get("reason", ""), failed.get("message", "")) if failed else None,
        finished=_time(ended.get("lastTransitionTime")) if ended else None,
        plan=read_plan(document),
    )


def observe_pod(document: Manifest) -> ObservedPod:
    """Parse a pod."""
    metadata, status = document["metadata"], document.get("status") or {}
    container: dict[str, Any] = next(
        (c for c in status.get("containerStatuses") or () if c["name"] == CONTAINER), {}
    )
    state = container.get("state") or {}
    terminated = state.get("terminated")
    end = _container_end(terminated) if terminated else None
    running_since = _time((state.get("running") or {}).get("startedAt"))
    started = running_since or (end.started if end else None)
    is_over = end is not None or status.get("phase") in ("Succeeded", "Failed")
    return ObservedPod(
        name=metadata["name"],
        job_uid=next(
            (o["uid"] for o in metadata.get("ownerReferences") or () if o["kind"] == "Job"), ""
        ),
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        waiting=None if started or is_over else _waiting(document, state),
        started=started,
        end=end,
        loss=_loss(document),
        is_over=is_over,
    )


def _container_end(terminated: dict[str, Any]) -> ContainerEnd:
    return ContainerEnd(
        exit_code=terminated["exitCode"],
        reason=terminated.get("reason", ""),
        message=terminated.get("message", ""),
        started=_time(terminated.get("startedAt")),
        finished=_time(terminated.get("finishedAt")),
    )


def _waiting(pod: Manifest, state: dict[str, Any]) -> tuple[Waiting, str]:
    unscheduled = _condition(pod, "PodScheduled", "False")
    if unscheduled:
        return Waiting.UNSCHEDULABLE, unscheduled.get("message", "no node was found yet")
    waiting = state.get("waiting") or {}
    parts = (waiting.get("reason", "ContainerCreating"), waiting.get("message", ""))
    return Waiting.STARTING, ": ".join(part for part in parts if part)


def _loss(pod: Manifest) -> str:
    target = _condition(pod, "DisruptionTarget", "True")
    if target:
        return str(target.get("message") or target.get("reason") or "disrupted")
    status = pod.get("status") or {}
    if status.get("phase") == "Failed" and status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
    return ""


def _condition(document: Manifest, kind: str, status: str) -> dict[str, Any] | None:
    conditions = (document.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if (c["type"], c["status"]) == (kind, status)), None)


def _true_conditions(document: Manifest) -> dict[str, dict[str, Any]]:
    conditions = (document.get("status") or {}).get("conditions") or ()
    return {each["type"]: each for each in conditions if each["status"] == "True"}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

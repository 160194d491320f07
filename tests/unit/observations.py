"""What the operator may see of a resource, for tests: name only what the test is about.

Objects are built as the API server sends them, so the parsing is tested along.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from t2v_api.api_key import GRANT_ANNOTATION, KEY_LABEL, ApiKey
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import Reason
from t2v_api.resource import TextToVideoJobStatus
from t2v_api.result import GenerationFailure, GenerationResult
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import Decision
from t2v_operator.core.earlier_runs import EarlierRun
from t2v_operator.core.enhancing import Answer
from t2v_operator.core.job import build_job
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.names import APPLIED_ANNOTATION, POOL_LABEL, RECORD_ANNOTATION, job_name
from t2v_operator.core.observe import observe_job, observe_pod, observe_resource, observe_workload
from t2v_operator.core.observed import (
    Observed,
    ObservedJob,
    ObservedPod,
    ObservedResource,
    ObservedWorkload,
)
from t2v_operator.core.record import record_to_leave
from t2v_operator.core.request import resolve

from tests.unit.builders import a_config, a_resource

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
UID = "uid-1"
NODE = "node-1"
CONTAINER = {
    "name": "runner",
    "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [5]}}],
}


def at(seconds: float) -> datetime:
    """So many seconds after the start."""
    return START + timedelta(seconds=seconds)


def text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def the_spec(**spec: Any) -> dict[str, Any]:
    return {"modelId": "tiny-shapes", "prompt": "a red circle", "seed": 1, **spec}


JOB_NAME = job_name(a_resource(**the_spec()))


def a_manifest(config: OperatorConfig | None = None, **spec: Any) -> dict[str, Any]:
    """The Job that the operator makes for this spec."""
    config = config or a_config()
    return build_job(resolve(a_resource(**the_spec(**spec)), config), config)


def a_job_document(
    spec: dict[str, Any] | None = None,
    config: OperatorConfig | None = None,
    complete: bool = False,
    failed: str = "",
    owner_uid: str = UID,
    deleting: bool = False,
    applied: dict[str, Any] | None = None,
    active: int = 0,
    made: float = 0,
    ended: float = 60,
    **job_spec: Any,
) -> dict[str, Any]:
    """A Job in the cluster. `failed` is the Failed condition's reason.

    `spec` is the resource's as it was when the Job was made, `applied` what the Job says of it.
    """
    manifest = a_manifest(config, **(spec or {}))
    metadata = manifest["metadata"]
    metadata |= {"uid": f"job-{metadata['name']}", "creationTimestamp": text(at(made))}
    manifest["spec"] |= job_spec
    if owner_uid:
        metadata["ownerReferences"][0]["uid"] = owner_uid
    else:
        del metadata["ownerReferences"]
    if deleting:
        metadata["deletionTimestamp"] = text(at(5))
    if applied is not None:
        metadata["annotations"][APPLIED_ANNOTATION] = json.dumps(applied)
    conditions = []
    if complete:
        conditions.append(_condition("Complete", "True", since=ended))
    if failed:
        conditions.append(
            _condition("Failed", "True", failed, "in the Job's words", since=ended),
        )
    return {**manifest, "status": {"active": active, "conditions": conditions}}


def a_job_seen(spec: dict[str, Any] | None = None, **job: Any) -> ObservedJob:
    """As `a_job_document`, as the operator sees it."""
    return observe_job(a_job_document(spec, **job))


def a_pod_document(
    name: str = "pod-1",
    exit_code: int | None = None,
    message: str = "",
    kubelet_reason: str = "Error",
    running: bool = False,
    waiting: str = "",
    waiting_message: str = "",
    unschedulable: str = "",
    disrupted: str = "",
    disruption_reason: str = "",
    disrupted_at: float = 0,
    not_ready_since: float | None = None,
    not_ready_reason: str = "",
    gone_by: float | None = None,
    phase: str = "Pending",
    made: float = 0,
    job_uid: str = f"job-{JOB_NAME}",
    pool: str = "default",
    restarts: int = 0,
    earlier: tuple[int, str] | None = None,
) -> dict[str, Any]:
    """A pod; by default one that has a node and starts its container.

    `earlier`: exit code and message of the run before, where the container was started again.
    `gone_by`: when it should be gone, as its deletionTimestamp says.
    `not_ready_since`: the node controller has marked it so, without a reason, or the kubelet, with.
    """
    state: dict[str, Any] = {
        "waiting": {"reason": waiting or "ContainerCreating", "message": waiting_message}
    }
    if running or not_ready_since is not None:
        state = {"running": {"startedAt": text(at(made + 2))}}
    if exit_code is not None:
        state = {"terminated": _terminated(exit_code, message, made, kubelet_reason)}
    scheduled = "False" if unschedulable else "True"
    conditions = [_condition("PodScheduled", scheduled, "", unschedulable, since=made)]
    if disrupted or disruption_reason:
        why = disruption_reason, disrupted
        conditions.append(_condition("DisruptionTarget", "True", *why, since=disrupted_at))
    if not_ready_since is not None:
        conditions.append(_condition("Ready", "False", not_ready_reason, since=not_ready_since))
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-of-{name}",
        "creationTimestamp": text(at(made)),
        "labels": {POOL_LABEL: pool},
        "ownerReferences": [{"kind": "Job", "uid": job_uid}],
    }
    if gone_by is not None:
        metadata["deletionTimestamp"] = text(at(gone_by))
    container = {"name": "runner", "state": state, "restartCount": restarts}
    if earlier:
        exit_code, message = earlier
        container["lastState"] = {"terminated": _terminated(exit_code, message, made - 60)}
    is_without_container = bool(unschedulable) or (
        phase == "Failed" and exit_code is None and not earlier
    )
    return {
        "metadata": metadata,
        "spec": {"containers": [CONTAINER]} | ({} if unschedulable else {"nodeName": NODE}),
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [] if is_without_container else [container],
        },
    }


def _terminated(
    exit_code: int, message: str, made: float, kubelet_reason: str = "Error"
) -> dict[str, Any]:
    return {
        "exitCode": exit_code,
        "reason": "Completed" if exit_code == 0 else kubelet_reason,
        "message": message,
        "startedAt": text(at(made + 2)),
        "finishedAt": text(at(made + 50)),
    }


def a_pod(name: str = "pod-1", **pod: Any) -> ObservedPod:
    """As `a_pod_document`, as the operator sees it."""
    return observe_pod(a_pod_document(name, **pod))


def a_pod_of_a_lost_node(name: str = "pod-1", since: float = 60, **pod: Any) -> ObservedPod:
    """Its container ran when the node was last heard of."""
    return a_pod(name, not_ready_since=since, **pod)


def a_workload(
    waits: str = "",
    preempted: str = "",
    admitted: bool = False,
    has_quota: bool = False,
    active: bool = True,
    since: float = 0,
    job_uid: str = f"job-{JOB_NAME}",
) -> ObservedWorkload:
    """Kueue's of a Job: `waits` and `preempted` are its words, `since` when it began to wait.

    `has_quota`: a GPU is held for it; it is not `admitted` before other checks are done.
    """
    conditions = []
    if waits:
        conditions.append(_condition("QuotaReserved", "False", "Pending", waits, since))
    if preempted:
        conditions.append(_condition("Preempted", "True", "InClusterQueue", preempted, since))
    if admitted or has_quota:
        conditions.append(_condition("QuotaReserved", "True", "QuotaReserved", since=since))
    if admitted:
        conditions.append(_condition("Admitted", "True", "Admitted", since=since))
    return observe_workload(
        {
            "metadata": {
                "name": "job-red-circle-12345",
                "creationTimestamp": text(at(0)),
                "labels": {"kueue.x-k8s.io/job-uid": job_uid},
            },
            "spec": {"active": active},
            "status": {"conditions": conditions},
        }
    )


def a_resource_document(
    spec: dict[str, Any] | None = None,
    status: TextToVideoJobStatus | None = None,
    generation: int = 1,
    deleting: bool = False,
    record: str = "",
    name: str = "red-circle",
    key_id: str = "",
    signature: str = "",
) -> dict[str, Any]:
    """A TextToVideoJob as the API server has it; with `key_id`, one that the gateway made."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": "default",
        "uid": UID,
        "generation": generation,
        "creationTimestamp": text(START),
    }
    if deleting:
        metadata["deletionTimestamp"] = text(at(1))
    if record:
        metadata["annotations"] = {RECORD_ANNOTATION: record}
    if key_id:
        metadata["labels"] = {KEY_LABEL: key_id}
        metadata["annotations"] = {GRANT_ANNOTATION: signature}
    # What the CRD gives to one that no operator has seen.
    written = status.document() if status else {"phase": "Pending", "observedGeneration": -1}
    return {"metadata": metadata, "spec": the_spec(**(spec or {})), "status": written}


def a_resource_seen(**resource: Any) -> ObservedResource:
    return observe_resource(a_resource_document(**resource))


def an_observation(
    spec: dict[str, Any] | None = None,
    status: TextToVideoJobStatus | None = None,
    job: ObservedJob | None = None,
    earlier_jobs: tuple[ObservedJob, ...] = (),
    pods: tuple[ObservedPod, ...] = (),
    earlier_pods: tuple[ObservedPod, ...] = (),
    workload: ObservedWorkload | None = None,
    percent: int | None = None,
    complaint: str = "",
    queue_priority_is_known: bool = True,
    earlier_runs: tuple[EarlierRun, ...] = (),
    models: Mapping[str, ObservedModel] = MappingProxyType({}),
    answer: Answer | None = None,
    key: ApiKey | KeyProblem | None = None,
    now: float = 100,
    **resource: Any,
) -> Observed:
    progress = (
        Progress(stage=Stage.DENOISE, step=3, steps=25, percent=percent, updated_time=at(now))
        if percent is not None
        else None
    )
    return Observed(
        resource=a_resource_seen(spec=spec, status=status, **resource),
        job=job,
        earlier_jobs=earlier_jobs,
        pods=pods,
        now=at(now),
        earlier_pods=earlier_pods,
        workload=workload,
        progress=progress,
        complaint=complaint,
        queue_priority_is_known=queue_priority_is_known,
        earlier_runs=earlier_runs,
        models=models,
        answer=answer,
        key=key,
    )


def decided(config: OperatorConfig | None = None, **observation: Any) -> Decision:
    return decide(an_observation(**observation), config or a_config())


def a_status(config: OperatorConfig | None = None, **observation: Any) -> TextToVideoJobStatus:
    """The status that the operator writes when it sees this."""
    status = decided(config, **observation).status
    assert status
    return status


def queued(**observation: Any) -> TextToVideoJobStatus:
    """The status after the Job was made."""
    return a_status(**observation)


def running() -> TextToVideoJobStatus:
    """The status while its pod runs."""
    return a_status(status=queued(), job=a_job_seen(), pods=(a_pod(running=True),))


def succeeded() -> TextToVideoJobStatus:
    """The status of a finished video, all of whose record was read."""
    return a_status(
        status=running(),
        job=a_job_seen(complete=True),
        pods=(a_pod(exit_code=0, message=a_result()),),
    )


def a_record_of(status: TextToVideoJobStatus, **resource: Any) -> str:
    """What an operator leaves on the resource when it writes this status."""
    record = record_to_leave(a_resource_seen(**resource), status)
    assert record
    return record.json_line()


def a_result(*notices: str) -> str:
    """What a runner says of its video."""
    return GenerationResult.model_validate(
        {
            "output": ("video.mp4", "poster.jpg"),
            "video": {
                "sha256": "a" * 64,
                "frames_sha256": "b" * 64,
                "bytes": 1000,
                "width": 64,
                "height": 64,
                "frames": 16,
                "fps": 8,
                "duration": 2.0,
            },
            "seed": 1,
            "scheduler": "DDIMScheduler",
            "scheduler_class": "DDIMScheduler",
            "model_revision": "path:tiny-shapes",
            "device": "cpu",
            "dtype": "float32",
            "timings": {Stage.START: 1.0},
            "generation_time": 12.34,
            "notices": notices,
        },
        strict=False,
    ).json_line()


def a_failure(reason: Reason, message: str = "in the runner's words") -> str:
    """What a runner says when it made no video."""
    return GenerationFailure(reason=reason, message=message, stage=Stage.LOAD).json_line()


def conditions(status: TextToVideoJobStatus) -> dict[str, str]:
    return {each.type: each.status for each in status.conditions}


def reason_of(status: TextToVideoJobStatus | None) -> str:
    assert status
    return status.conditions[0].reason


def _condition(
    kind: str, status: str, reason: str = "", message: str = "", since: float = 0
) -> dict[str, str]:
    told = {"reason": reason, "message": message}
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": text(at(since)),
        **{name: value for name, value in told.items() if value},
    }

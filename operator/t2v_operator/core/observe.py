"""Make the records of `observed` from the API's objects. Pure: plain JSON in, records out."""

import json
from datetime import datetime
from typing import Any

from t2v_api.api_key import GRANT_ANNOTATION, KEY_LABEL
from t2v_api.base import ContractError
from t2v_api.reasons import Waiting
from t2v_api.resource import (
    ObjectMeta,
    OutputPolicy,
    Phase,
    TextToVideoJobSpec,
    TextToVideoJobStatus,
    hash_of,
)
from t2v_api.result import TERMINATION_MESSAGE_BYTES

from t2v_operator.core.job import CONTAINER, Manifest
from t2v_operator.core.keepers import keeper_of
from t2v_operator.core.names import (
    APPLIED_ANNOTATION,
    MODEL_LABEL,
    OUTPUT_FINALIZER,
    POOL_LABEL,
    QUEUE_LABEL,
    QUEUE_PRIORITY_LABEL,
    RECORD_ANNOTATION,
    RENEW_LINKS_ANNOTATION,
    RESULT_ANNOTATION,
    WORKLOAD_JOB_LABEL,
    folder_in,
)
from t2v_operator.core.observed import (
    FINAL,
    ContainerEnd,
    ObservedJob,
    ObservedPod,
    ObservedResource,
    ObservedWorkload,
    PodWait,
    Settled,
)
from t2v_operator.core.output_ttl import ttl_that_counts
from t2v_operator.core.plan import find_plan
from t2v_operator.core.webhook import is_due_by
from t2v_operator.crd import NOT_OBSERVED

WORD_CHARACTERS = 256
RECORD_CHARACTERS = 64 * 1024
"""A record that the operator writes is smaller."""


def settled(document: Manifest) -> Settled | None:
    """The record of a finished resource; None for any that may still need something."""
    metadata, status = document["metadata"], document.get("status") or {}
    conditions, annotations = status.get("conditions"), metadata.get("annotations") or {}
    if (
        status.get("phase") not in FINAL
        or status.get("observedGeneration") != metadata.get("generation", 1)
        or not conditions
        or "deletionTimestamp" in metadata
        or (status.get("requestHash") or "-") not in annotations.get(RECORD_ANNOTATION, "")
        or _tokens(status) not in annotations.get(RECORD_ANNOTATION, "")
        or _short(annotations.get(RENEW_LINKS_ANNOTATION)) != status.get("linkRenewal")
    ):
        return None
    spec, output = document.get("spec") or {}, status.get("output") or ()
    return Settled(
        uid=metadata["uid"],
        resource_version=metadata.get("resourceVersion", ""),
        phase=status["phase"],
        reason=conditions[0]["reason"],
        model=spec.get("modelId", ""),
        pool=status.get("pool") or "",
        job_name=status.get("jobName") or "",
        completed=_time(status.get("completionTime")),
        ttl_seconds=spec.get("ttlSecondsAfterFinished"),
        finalizer_is_due=(spec.get("outputPolicy") == OutputPolicy.DELETE)
        != (OUTPUT_FINALIZER in (metadata.get("finalizers") or ())),
        folder=folder_in(output),
        webhook_is_due=is_due_by(spec.get("webhook"), status.get("webhook") or {}),
        output_ttl_seconds=ttl_that_counts(
            spec.get("outputTtlSeconds"), keeper_of(metadata), bool(output)
        ),
    )


def _tokens(status: dict[str, Any]) -> str:
    """How a record says that it is of the try that a status tells of; empty for the only one."""
    seen = status.get("retryTokens")
    return f'"retryTokens":{json.dumps(seen, separators=(",", ":"))}' if seen else ""


def observe_resource(document: Manifest) -> ObservedResource:
    """Parse a resource. A spec that does not fit is kept as a complaint, not raised."""
    spec, complaint = None, ""
    try:
        spec = TextToVideoJobSpec.parse(_known(document.get("spec")), at="spec")
    except ContractError as error:
        complaint = str(error)
    metadata = _metadata(document["metadata"])
    status = _status(document.get("status"))
    computed = spec.request_hash if spec else hash_of(document.get("spec"))
    # The spec is as it was when the status was written: so is the request, even if another version
    # of the operator named it otherwise.
    same = status is not None and status.observed_generation == metadata.generation
    return ObservedResource(
        metadata=metadata,
        spec=spec,
        complaint=complaint,
        unknown_fields=_unknown(document.get("spec")),
        request_hash=(status.request_hash if same and status else None) or computed,
        status=status,
        is_being_deleted="deletionTimestamp" in document["metadata"],
        has_finalizer=OUTPUT_FINALIZER in (document["metadata"].get("finalizers") or ()),
        keeper=keeper_of(document["metadata"]),
    )


def _metadata(document: dict[str, Any]) -> ObjectMeta:
    """What is read of it; the rest, such as managedFields, may be large."""
    wanted = ("name", "namespace", "uid", "generation", "resourceVersion", "creationTimestamp")
    kept = {name: document[name] for name in wanted if name in document}
    annotations = document.get("annotations") or {}
    record = annotations.get(RECORD_ANNOTATION, "")
    read = {
        RECORD_ANNOTATION: record if len(record) <= RECORD_CHARACTERS else "",
        RENEW_LINKS_ANNOTATION: _short(annotations.get(RENEW_LINKS_ANNOTATION)),
        GRANT_ANNOTATION: _short(annotations.get(GRANT_ANNOTATION)),
    }
    kept["annotations"] = {name: text for name, text in read.items() if text}
    key_id = (document.get("labels") or {}).get(KEY_LABEL)
    kept["labels"] = {KEY_LABEL: key_id} if key_id else {}
    return ObjectMeta.parse(kept, at="metadata")


def _short(text: str | None) -> str | None:
    return text[:WORD_CHARACTERS] if text else None


_FIELDS = frozenset(str(field.alias) for field in TextToVideoJobSpec.model_fields.values())


def _known(spec: Any) -> Any:
    """The fields of a spec that this version knows; the API server has refused misspelt ones."""
    if not isinstance(spec, dict):
        return spec
    return {name: value for name, value in spec.items() if name in _FIELDS}


def _unknown(spec: Any) -> tuple[str, ...]:
    return tuple(sorted(set(spec) - _FIELDS)) if isinstance(spec, dict) else ()


def _status(document: Any) -> TextToVideoJobStatus | None:
    """The status. Of one that another version wrote, what says whether the work is done."""
    if not document or document.get("observedGeneration") in (None, NOT_OBSERVED):
        return None
    try:
        return TextToVideoJobStatus.parse(document, at="status")
    except ContractError:
        phase = document.get("phase")
        known = phase in set(Phase) and isinstance(document.get("requestHash"), str)
        wanted = ("phase", "requestHash", "jobName", "observedGeneration")
        kept = {name: document[name] for name in wanted if name in document} if known else {}
        return TextToVideoJobStatus.parse(kept)


def observe_job(document: Manifest) -> ObservedJob:
    """Parse a Job."""
    metadata, spec = document["metadata"], document["spec"]
    labels, status = metadata.get("labels") or {}, document.get("status") or {}
    conditions = _true_conditions(document)
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    failed = conditions.get("Failed")
    ended = conditions.get("Complete") or failed
    return ObservedJob(
        name=metadata["name"],
        uid=metadata["uid"],
        owner=f"{owner['kind']} {owner['name']}" if owner else "",
        owner_uid=owner["uid"] if owner else "",
        created=_time(metadata.get("creationTimestamp")),
        is_being_deleted="deletionTimestamp" in metadata,
        suspended=bool(spec.get("suspend")),
        active_deadline_seconds=spec.get("activeDeadlineSeconds"),
        backoff_limit=spec.get("backoffLimit", 0),
        applied=_applied(metadata.get("annotations") or {}),
        queue=labels.get(QUEUE_LABEL, ""),
        queue_priority=labels.get(QUEUE_PRIORITY_LABEL, ""),
        managed_by=spec.get("managedBy") or "",
        active_pods=status.get("active", 0),
        is_complete="Complete" in conditions,
        failure=(failed.get("reason", ""), failed.get("message", "")) if failed else None,
        finished=_time(ended.get("lastTransitionTime")) if ended else None,
        plan_text=find_plan(document),
        handed_in=_handed_in(metadata.get("annotations") or {}),
        model=labels.get(MODEL_LABEL, ""),
        key=labels.get(KEY_LABEL, ""),
    )


def _handed_in(annotations: dict[str, str]) -> str:
    text = annotations.get(RESULT_ANNOTATION, "")
    return text if len(text) <= TERMINATION_MESSAGE_BYTES else ""


def _applied(annotations: dict[str, str]) -> dict[str, Any]:
    try:
        values = json.loads(annotations.get(APPLIED_ANNOTATION, "{}"))
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def version_of(document: Manifest) -> int:
    """The resourceVersion. Since Kubernetes 1.35 it is documented to be a number that grows."""
    return int(document["metadata"].get("resourceVersion") or 0)


def observe_pod(document: Manifest) -> ObservedPod:
    """Parse a pod."""
    metadata, status = document["metadata"], document.get("status") or {}
    container: dict[str, Any] = next(
        (c for c in status.get("containerStatuses") or () if c["name"] == CONTAINER), {}
    )
    state = container.get("state") or {}
    terminated = state.get("terminated")
    earlier = (container.get("lastState") or {}).get("terminated")
    if terminated and _is_started_again(document, terminated["exitCode"]):
        earlier, terminated = terminated, None
    end = _container_end(terminated) if terminated else None
    running_since = _time((state.get("running") or {}).get("startedAt"))
    started = running_since or (end.started if end else None)
    is_over = end is not None or status.get("phase") in ("Succeeded", "Failed")
    not_ready = _marked_not_ready(document) if running_since else None
    target = _condition(document, "DisruptionTarget", "True")
    return ObservedPod(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        job_uid=next(
            (o["uid"] for o in metadata.get("ownerReferences") or () if o["kind"] == "Job"), ""
        ),
        pool=(metadata.get("labels") or {}).get(POOL_LABEL, ""),
        version=version_of(document),
        node=(document.get("spec") or {}).get("nodeName") or "",
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        waiting=None if started or is_over else _waiting(document, state, earlier),
        started=started,
        end=end,
        restarts=container.get("restartCount", 0),
        earlier_end=_container_end(earlier) if earlier else None,
        priority=(document.get("spec") or {}).get("priority") or 0,
        loss=_loss(status, target),
        lost_at=_time((target or {}).get("lastTransitionTime")),
        node_was_lost=target is not None and target.get("reason") in _NODE_REASONS,
        was_preempted=target is not None and target.get("reason", "") in _PREEMPTION_REASONS,
        is_over=is_over,
        not_ready_since=_time(not_ready.get("lastTransitionTime")) if not_ready else None,
        gone_by=_time(metadata.get("deletionTimestamp")),
    )


def _marked_not_ready(pod: Manifest) -> dict[str, Any] | None:
    """The condition Ready as the node controller leaves it: False, without the kubelet's reason."""
    ready = _condition(pod, "Ready", "False")
    return ready if ready and not ready.get("reason") else None


def observe_workload(document: Manifest) -> ObservedWorkload:
    """Parse a Workload of Kueue (kueue.x-k8s.io/v1beta2)."""
    metadata = document["metadata"]
    created = datetime.fromisoformat(metadata["creationTimestamp"])
    told = _condition(document, "QuotaReserved", "False") or {}
    preempted = _condition(document, "Preempted", "True")
    return ObservedWorkload(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        job_uid=(metadata.get("labels") or {}).get(WORKLOAD_JOB_LABEL, ""),
        created=created,
        priority=(document.get("spec") or {}).get("priority") or 0,
        is_active=(document.get("spec") or {}).get("active", True),
        has_quota=_condition(document, "QuotaReserved", "True") is not None,
        was_preempted=preempted is not None,
        message=": ".join(
            part for part in ((preempted or {}).get("message", ""), told.get("message", "")) if part
        ),
        since=_time(told.get("lastTransitionTime")) or created,
    )


_PREEMPTION_REASONS = ("PreemptionByScheduler", "PreemptionByKubeScheduler")
"""The second until Kubernetes 1.26."""
_NODE_REASONS = ("NodeLost", "DeletionByTaintManager", "DeletionByPodGC")


def _container_end(terminated: dict[str, Any]) -> ContainerEnd:
    return ContainerEnd(
        exit_code=terminated["exitCode"],
        reason=terminated.get("reason", ""),
        message=terminated.get("message", ""),
        started=_time(terminated.get("startedAt")),
        finished=_time(terminated.get("finishedAt")),
    )


def _is_started_again(pod: Manifest, exit_code: int) -> bool:
    """Whether the kubelet starts the container again in this pod after such an end."""
    if (pod.get("status") or {}).get("phase") != "Running":
        return False
    containers = (pod.get("spec") or {}).get("containers") or ()
    rules = next((c.get("restartPolicyRules") for c in containers if c["name"] == CONTAINER), None)
    return any(exit_code in rule["exitCodes"]["values"] for rule in rules or ())


def _waiting(pod: Manifest, state: dict[str, Any], earlier: dict[str, Any] | None) -> PodWait:
    waiting = state.get("waiting") or {}
    parts = (waiting.get("reason", "ContainerCreating"), waiting.get("message", ""))
    words = ": ".join(part for part in parts if part)
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    if earlier:
        return PodWait(Waiting.RESTARTING, words, _time(earlier.get("finishedAt")) or created)
    unscheduled = _condition(pod, "PodScheduled", "False")
    if unscheduled:
        message = unscheduled.get("message", "no node was found yet")
        # A claim that is not there comes from no node's being busy: nothing frees it.
        missing = 'persistentvolumeclaim "' in message
        reason = Waiting.STARTING if missing else Waiting.UNSCHEDULABLE
        return PodWait(reason, message, _time(unscheduled.get("lastTransitionTime")) or created)
    scheduled = _condition(pod, "PodScheduled", "True")
    if scheduled is None:
        return PodWait(Waiting.UNSCHEDULABLE, "no node was found yet", created)
    since = _time(scheduled.get("lastTransitionTime")) or created
    return PodWait(Waiting.STARTING, words, since)


def _loss(status: dict[str, Any], target: dict[str, Any] | None) -> str:
    if target:
        return str(target.get("message") or target.get("reason") or "disrupted")
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

"""What the operator may see of a resource, for tests: name only what the test is about.

Objects are built as the API server sends them, so the parsing is tested along.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from t2v_api.progress import Progress, Stage
from t2v_api.resource import TextToVideoJobStatus
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decide import Decision, decide
from t2v_operator.core.job import build_job
from t2v_operator.core.observed import (
    Observed,
    ObservedJob,
    ObservedPod,
    observe_job,
    observe_pod,
    observe_resource,
)
from t2v_operator.core.request import resolve

from tests.unit.builders import a_config, a_resource

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
UID = "uid-1"


def at(seconds: float) -> datetime:
    """So many seconds after the start."""
    return START + timedelta(seconds=seconds)


def text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def the_spec(**spec: Any) -> dict[str, Any]:
    return {"modelId": "tiny-shapes", "prompt": "a red circle", "seed": 1, **spec}


def a_manifest(**spec: Any) -> dict[str, Any]:
    """The Job that the operator makes for this spec."""
    config = a_config()
    return build_job(resolve(a_resource(**the_spec(**spec)), config), config)


def a_job_seen(
    spec: dict[str, Any] | None = None,
    complete: bool = False,
    failed: str = "",
    owner_uid: str = UID,
    deleting: bool = False,
    **job_spec: Any,
) -> ObservedJob:
    """A Job in the cluster. `failed` is the Failed condition's reason."""
    manifest = a_manifest(**(spec or {}))
    manifest["metadata"]["uid"] = f"job-{manifest['metadata']['name']}"
    manifest["spec"] |= job_spec
    if owner_uid:
        manifest["metadata"]["ownerReferences"][0]["uid"] = owner_uid
    else:
        del manifest["metadata"]["ownerReferences"]
    if deleting:
        manifest["metadata"]["deletionTimestamp"] = text(at(5))
    conditions = []
    if complete:
        conditions.append({"type": "Complete", "status": "True"})
    if failed:
        conditions.append(
            {
                "type": "Failed",
                "status": "True",
                "reason": failed,
                "message": "in the Job's words",
                "lastTransitionTime": text(at(60)),
            }
        )
    return observe_job({**manifest, "status": {"conditions": conditions}})


def a_pod(
    name: str = "pod-1",
    exit_code: int | None = None,
    message: str = "",
    kubelet_reason: str = "Error",
    running: bool = False,
    waiting: str = "",
    unschedulable: str = "",
    disrupted: str = "",
    phase: str = "Pending",
    made: float = 0,
) -> ObservedPod:
    """A pod; by default one that has a node and starts its container."""
    state: dict[str, Any] = {"waiting": {"reason": waiting or "ContainerCreating"}}
    if running:
        state = {"running": {"startedAt": text(at(made + 2))}}
    if exit_code is not None:
        state = {
            "terminated": {
                "exitCode": exit_code,
                "reason": "Completed" if exit_code == 0 else kubelet_reason,
                "message": message,
                "startedAt": text(at(made + 2)),
                "finishedAt": text(at(made + 50)),
            }
        }
    conditions = []
    if unschedulable:
        conditions.append({"type": "PodScheduled", "status": "False", "message": unschedulable})
    if disrupted:
        conditions.append({"type": "DisruptionTarget", "status": "True", "message": disrupted})
    return observe_pod(
        {
            "metadata": {
                "name": name,
                "creationTimestamp": text(at(made)),
                "ownerReferences": [{"kind": "Job", "uid": "job"}],
            },
            "status": {
                "phase": phase,
                "conditions": conditions,
                "containerStatuses": []
                if unschedulable or phase == "Failed"
                else [{"name": "runner", "state": state}],
            },
        }
    )


def an_observation(
    spec: dict[str, Any] | None = None,
    status: TextToVideoJobStatus | None = None,
    job: ObservedJob | None = None,
    earlier_jobs: tuple[ObservedJob, ...] = (),
    pods: tuple[ObservedPod, ...] = (),
    percent: int | None = None,
    trouble: str = "",
    now: float = 100,
    generation: int = 1,
    deleting: bool = False,
) -> Observed:
    metadata = {"name": "red-circle", "namespace": "default", "uid": UID, "generation": generation}
    if deleting:
        metadata["deletionTimestamp"] = text(at(1))
    document = {"metadata": metadata, "spec": the_spec(**(spec or {}))}
    if status is not None:
        document["status"] = status.document()
    progress = (
        Progress(stage=Stage.DENOISE, step=3, steps=25, percent=percent, updated_time=at(now))
        if percent is not None
        else None
    )
    return Observed(
        resource=observe_resource(document),
        job=job,
        earlier_jobs=earlier_jobs,
        pods=pods,
        progress=progress,
        trouble=trouble,
        now=at(now),
    )


def decided(config: OperatorConfig | None = None, **observation: Any) -> Decision:
    return decide(an_observation(**observation), config or a_config())


def a_status(**observation: Any) -> TextToVideoJobStatus:
    """The status that the operator writes when it sees this."""
    status = decided(**observation).status
    assert status
    return status

"""What the operator may see of a VideoModel, for tests: name only what the test is about."""

from collections.abc import Sequence
from typing import Any

from t2v_api.prefetch import PrefetchResult
from t2v_api.progress import Progress, Stage
from t2v_api.video_model import VideoModelStatus
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.core.models.missing import Missed
from t2v_operator.core.models.nodes import observe_node
from t2v_operator.core.models.observe import observe_model
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.models.prefetch_job import prefetch_job
from t2v_operator.core.models.situation import ModelSituation
from t2v_operator.core.names import IN_USE_FINALIZER
from t2v_operator.core.observe import observe_job, observe_pod

from tests.unit.observations import START, at, text

MODEL = "tiny-hub"
COMMIT, OTHER_COMMIT = "c" * 40, "d" * 40
SHA256 = "e" * 64
DESCRIPTION = {
    name: value
    for name, value in load_config(None).models[0].document().items()
    if name not in ("id", "source")
}


def a_config_with_a_cache(size: str | None = None, **more: Any) -> OperatorConfig:
    """The default configuration with a model cache."""
    cache = {"kind": "claim", "claimName": "models", "size": size}
    return OperatorConfig.parse(load_config(None).document() | {"modelCache": cache} | more)


def a_config_on_nodes(**more: Any) -> OperatorConfig:
    """The default configuration with a model cache on each node."""
    cache = {"kind": "hostPath", "path": "/var/lib/models"}
    return OperatorConfig.parse(load_config(None).document() | {"modelCache": cache} | more)


def a_node(
    name: str,
    labels: dict[str, str] | None = None,
    taints: Sequence[dict[str, str]] = (),
    gpus: int = 1,
    is_ready: bool = True,
    is_cordoned: bool = False,
    uid: str = "",
) -> dict[str, Any]:
    """A node as the API server has it."""
    return {
        "metadata": {"name": name, "uid": uid or f"uid-of-{name}", "labels": labels or {}},
        "spec": {"taints": list(taints), "unschedulable": is_cordoned},
        "status": {
            "capacity": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": str(gpus)},
            "conditions": [{"type": "Ready", "status": "True" if is_ready else "False"}],
        },
    }


def a_model_document(
    status: dict[str, Any] | VideoModelStatus | None = None,
    name: str = MODEL,
    revision: str = "main",
    generation: int = 1,
    deleting: bool = False,
    finalizer: bool = False,
    **spec: Any,
) -> dict[str, Any]:
    """A VideoModel as the API server has it; by default one that is to be fetched."""
    metadata: dict[str, Any] = {
        "name": name,
        "uid": f"uid-of-{name}",
        "generation": generation,
        "creationTimestamp": text(START),
        "resourceVersion": "1",
    }
    if deleting:
        metadata["deletionTimestamp"] = text(at(1))
    if finalizer:
        metadata["finalizers"] = [IN_USE_FINALIZER]
    source = {"hub": "owner/name", "revision": revision}
    written = status.document() if isinstance(status, VideoModelStatus) else status
    return {
        "metadata": metadata,
        "spec": {**DESCRIPTION, "source": source, "prefetch": {}, **spec},
        # What the CRD gives to one that no operator has seen.
        "status": written or {"observedGeneration": -1},
    }


def a_model(**model: Any) -> ObservedModel:
    """As `a_model_document`, as the operator sees it."""
    return observe_model(a_model_document(**model))


def told(
    ready: bool, stalled: bool = False, message: str = "in words", **fields: Any
) -> dict[str, Any]:
    """A status as an earlier look left it."""
    holds = {"Ready": ready, "Reconciling": not ready and not stalled, "Stalled": stalled}
    return {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": kind,
                "status": str(held),
                "reason": "Available" if ready else "Prefetching",
                "message": message,
                "lastTransitionTime": text(START),
            }
            for kind, held in holds.items()
        ],
        "message": message,
        **fields,
    }


def a_ready_model(**model: Any) -> ObservedModel:
    """One whose branch main was fetched."""
    return a_model(status=told(True, sources="owner/name@main", commit=COMMIT), **model)


def a_prefetch_job(model: dict[str, Any] | None = None, **job: Any) -> dict[str, Any]:
    """The Job that fetches this model, as the API server has it, with parts of its status."""
    seen = observe_model(model or a_model_document())
    manifest = prefetch_job(seen, a_config_with_a_cache())
    manifest["metadata"] |= {
        "namespace": "t2v-system",
        "uid": f"uid-of-{manifest['metadata']['name']}",
        "creationTimestamp": text(START),
    }
    return {**manifest, "status": job}


def ended(kind: str, reason: str = "", since: float = 60) -> list[dict[str, str]]:
    """The conditions of a Job that is over."""
    since_text = text(at(since))
    words = {"reason": reason, "message": "in the Job's words"}
    return [{"type": kind, "status": "True", "lastTransitionTime": since_text, **words}]


def a_record(**record: Any) -> str:
    """What a prefetch says when all is there."""
    fields = {"commit": COMMIT, "bytes": 28_930_000_000, "sha256": SHA256} | record
    return PrefetchResult(**fields).json_line()


def a_situation(
    model: dict[str, Any] | None = None,
    jobs: Sequence[dict[str, Any]] = (),
    pods: Sequence[dict[str, Any]] = (),
    progress: tuple[int, int] | None = None,
    users: Sequence[str] = (),
    config: OperatorConfig | None = None,
    now: float = 100,
    nodes: Sequence[dict[str, Any]] = (),
    missed: Sequence[Missed] = (),
) -> ModelSituation:
    """`progress`: how many bytes of how many each pod has told."""
    there, total = progress or (0, 0)
    told = Progress(
        stage=Stage.DOWNLOAD,
        step=0,
        steps=0,
        percent=21,
        bytes=there,
        total_bytes=total,
        eta_seconds=90.0,
        updated_time=at(now),
    )
    return ModelSituation(
        observe_model(model or a_model_document()),
        config or a_config_with_a_cache(),
        at(now),
        tuple(map(observe_job, jobs)),
        tuple(map(observe_pod, pods)),
        {each["metadata"]["name"]: told for each in pods} if progress else {},
        users=users,
        missed=missed,
        nodes=tuple(map(observe_node, nodes)),
    )

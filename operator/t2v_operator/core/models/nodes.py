"""Which nodes a GPU pool has, for caches that each node has of its own. Pure.

A node is of a pool where the scheduler could ever put a video's pod of that pool: its labels, its
taints and its GPUs say so. Whether it takes pods just now is another question.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from t2v_api.quantity import bytes_of

from t2v_operator.config import GpuPool
from t2v_operator.core.job import Manifest

KEEPS_AWAY = ("NoSchedule", "NoExecute")
OF_ITS_STATE = "node.kubernetes.io/"
"""Taints of that name tell how a node is just now, not whose it is."""


@dataclass(frozen=True)
class Taint:
    """What keeps pods away that do not tolerate it."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class ObservedNode:
    """A node as the API server holds it."""

    name: str
    uid: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    """Those that keep pods away for as long as somebody wants it."""
    resources: frozenset[str]
    """What it has any of, such as cpu, or nvidia.com/gpu."""
    takes_pods: bool
    """Whether it is ready and not cordoned."""


def observe_node(document: Manifest) -> ObservedNode:
    """Parse a Node of the API."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    status = document.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return ObservedNode(
        name=metadata["name"],
        uid=metadata["uid"],
        labels=metadata.get("labels") or {},
        taints=tuple(
            Taint(each["key"], each.get("value") or "", each["effect"])
            for each in spec.get("taints") or ()
            if each["effect"] in KEEPS_AWAY and not each["key"].startswith(OF_ITS_STATE)
        ),
        # Capacity: what is allocatable falls to nothing while a device plugin starts again.
        resources=frozenset(
            name for name, amount in (status.get("capacity") or {}).items() if _is_any(amount)
        ),
        takes_pods=conditions.get("Ready") == "True" and not spec.get("unschedulable"),
    )


def is_of_pool(node: ObservedNode, pool: GpuPool, needs_gpu: bool) -> bool:
    """Whether videos of this pool may ever run there."""
    has_labels = pool.node_selector.items() <= node.labels.items()
    has_gpu = not needs_gpu or pool.gpu_resource in node.resources
    return has_labels and has_gpu and not any(_repels(taint, pool) for taint in node.taints)


def tolerations_of(pool: GpuPool) -> list[dict[str, Any]]:
    """Of a pod without a GPU that goes where the pool's videos go.

    Pods that ask for a GPU are let pass the taint of its name by the admission plugin
    ExtendedResourceToleration, where a cluster has it.
    """
    return [*pool.tolerations, {"key": pool.gpu_resource, "operator": "Exists"}]


def _repels(taint: Taint, pool: GpuPool) -> bool:
    return not any(_tolerates(each, taint) for each in tolerations_of(pool))


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    """As https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ says."""
    key, effect = toleration.get("key") or "", toleration.get("effect") or ""
    operator = toleration.get("operator") or "Equal"
    if effect not in ("", taint.effect) or key not in ("", taint.key):
        return False
    if operator == "Exists":
        return True
    return bool(key) and operator == "Equal" and (toleration.get("value") or "") == taint.value


def _is_any(amount: Any) -> bool:
    try:
        return bytes_of(str(amount)) > 0
    except ValueError:
        return True

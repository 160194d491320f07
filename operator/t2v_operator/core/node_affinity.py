"""Which nodes a pod goes to by their names. Pure.

By the field `metadata.name`, as a DaemonSet's pods are placed: the label `kubernetes.io/hostname`
may say something else. https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""

from collections.abc import Sequence
from typing import Any

MOST_NODES = 100
"""So many are named: a Job is an object of limited size."""
HEAVIEST = 100


def only_on(node: str) -> dict[str, Any]:
    """The affinity of a pod for this node alone."""
    term = {"matchFields": [_name("In", node)]}
    required = {"nodeSelectorTerms": [term]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def rather_not_on(nodes: Sequence[str]) -> dict[str, Any] | None:
    """The affinity of a pod that is better off on any other node; None where all are as good.

    Each requirement may name one node only, and all of a term have to hold.
    """
    if not nodes:
        return None
    elsewhere = {"matchFields": [_name("NotIn", node) for node in nodes[:MOST_NODES]]}
    preferred = [{"weight": HEAVIEST, "preference": elsewhere}]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _name(operator: str, node: str) -> dict[str, Any]:
    return {"key": "metadata.name", "operator": operator, "values": [node]}

"""Whose turn comes before whose, by what those go by who decide it. Pure.

Kubernetes's scheduler takes pods of one priority in the order in which they came to it, and Kueue
takes Workloads by their age, those of one second by their uid.
"""

from collections.abc import Sequence

from t2v_operator.core.estimates.line import Standing, Turn
from t2v_operator.core.observed import ObservedJob, ObservedPod, ObservedWorkload


def turn_of(
    job: ObservedJob, pods: Sequence[ObservedPod], workload: ObservedWorkload | None
) -> Turn:
    """When the turn of a Job comes. `pods`: its own, the oldest first.

    Pods tell their age in seconds, in which dozens are made; the number of a pod's version tells
    which came first, or, once the scheduler has told them to wait, which of them it tried first.
    """
    if pod := _present(pods):
        standing = Standing.HAS_A_NODE if pod.node else Standing.WAITS_FOR_A_NODE
        return Turn(standing, pod.version, pod.uid)
    waits = workload or job
    since = waits.created.timestamp() if waits.created else 0.0
    return Turn(Standing.HAS_NO_POD, since, waits.uid)


def priority_of(pods: Sequence[ObservedPod], workload: ObservedWorkload | None) -> int:
    """By which its turn comes: Kueue's own does not reach the pod, which the scheduler looks at."""
    waits = _present(pods) or workload or (pods[-1] if pods else None)
    return waits.priority if waits else 0


def _present(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """The pod that waits or runs."""
    return pods[-1] if pods and not pods[-1].is_over else None

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
    if pods and not pods[-1].is_over:
        has_a_node = bool(pods[-1].node)
        standing = Standing.HAS_A_NODE if has_a_node else Standing.WAITS_FOR_A_NODE
        return Turn(standing, pods[-1].version)
    waits = workload or job
    since = waits.created.timestamp() if waits.created else 0.0
    return Turn(Standing.HAS_NO_POD, since, waits.uid)

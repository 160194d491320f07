"""When the next attempt begins after one that failed. Pure.

Whoever makes it waits longer each time, and does not say until when: the kubelet where the runner
is started again in its pod, the Job controller where another pod follows. Both double their pauses.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from t2v_operator.core.observed import ObservedPod

FIRST_SECONDS = 10
MOST_SECONDS_IN_POD = 300
"""The kubelet's longest pause."""
MOST_SECONDS = 600
"""The Job controller's. It counts all pods that failed, also those that were taken away."""


def next_in_pod(pod: ObservedPod) -> datetime | None:
    """When the kubelet starts the container again; None where it does not."""
    ended = pod.earlier_end.finished if pod.earlier_end else None
    return _after(ended, pod.restarts, MOST_SECONDS_IN_POD) if pod.waiting and ended else None


def next_pod(pods: Sequence[ObservedPod]) -> datetime | None:
    """When the Job controller makes another pod; None where none has failed, or one is there.

    `pods`: the Job's.
    """
    if not pods or any(not pod.is_over for pod in pods):
        return None
    ends = [pod.end.finished for pod in pods if pod.end and pod.end.finished]
    return _after(max(ends), len(pods) - 1, MOST_SECONDS) if ends else None


def _after(ended: datetime, times: int, most_seconds: int) -> datetime:
    """`times`: how often that was waited for before."""
    return ended + timedelta(seconds=min(FIRST_SECONDS * 2 ** min(times, 10), most_seconds))

"""How long a new status may wait for more news before it is written. Pure.

What a person waits for is written at once, and so is what would be lost, such as an attempt whose
pod is gone; what only says more of the same is written seldom.
"""

from t2v_api.resource import Phase, TextToVideoJobStatus

QUEUED_SECONDS = 2.0
"""What is queued has news soon: its pod, a node, its start."""
SAME_SECONDS = 10.0
"""Between two statuses that differ in message and progress alone."""


def patience_seconds(before: TextToVideoJobStatus | None, after: TextToVideoJobStatus) -> float:
    """The least time between the write before and the write of `after`."""
    if after.attempt_count != (before.attempt_count if before else 0):
        return 0.0
    if _phase(before) != _phase(after):
        return QUEUED_SECONDS if after.phase is Phase.QUEUED else 0.0
    assert before
    if _reason(before) != _reason(after):
        return QUEUED_SECONDS
    return 0.0 if _stage(before) != _stage(after) else SAME_SECONDS


def _phase(status: TextToVideoJobStatus | None) -> tuple[object, ...]:
    """What a person waits for: another request, a generation that was seen, a phase."""
    if status is None:
        return ()
    return status.request_hash, status.observed_generation, status.phase


def _reason(status: TextToVideoJobStatus) -> str:
    return status.conditions[0].reason if status.conditions else ""


def _stage(status: TextToVideoJobStatus) -> object:
    return status.progress.stage if status.progress else None

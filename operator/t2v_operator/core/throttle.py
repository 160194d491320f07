"""How long a new status may wait for more news before it is written. Pure.

What a person waits for is written at once, and so is what would be lost, such as an attempt whose
pod is gone; what only says more of the same is written seldom.
"""

from t2v_api.reasons import Waiting
from t2v_api.resource import Phase, TextToVideoJobStatus

from t2v_operator.core.status import reason_of

QUEUED_SECONDS = 5.0
"""What is queued has news soon: its pod, a node, its start."""
RUNNING_SECONDS = 3.0
"""What fails as it begins, or is made quickly, has news soon as well: its end."""
SAME_SECONDS = 10.0
"""Between two statuses that differ in message and progress alone."""

ESTIMATE_SECONDS = 10.0
"""Between two statuses that differ in the expected times alone."""


def patience_seconds(before: TextToVideoJobStatus | None, after: TextToVideoJobStatus) -> float:
    """How long `after` waits, since its phase was first seen or another status of it written."""
    if must_be_written(before, after):
        return 0.0
    if _phase(before) != _phase(after):
        if after.phase is Phase.QUEUED:
            return QUEUED_SECONDS
        begins = reason_of(after) == Waiting.RUNNING and (not before or after.phase != before.phase)
        return RUNNING_SECONDS if begins else 0.0
    assert before
    if before.model_copy(update={"estimate": after.estimate}) == after:
        return ESTIMATE_SECONDS
    if reason_of(before) != reason_of(after):
        return QUEUED_SECONDS
    return 0.0 if _stage(before) != _stage(after) else SAME_SECONDS


def must_be_written(before: TextToVideoJobStatus | None, after: TextToVideoJobStatus) -> bool:
    """Whether a person waits for it, or it would be lost; the rest may wait for a calmer moment."""
    if after.phase not in (Phase.QUEUED, Phase.RUNNING):
        return _phase(before) != _phase(after)
    return _ended_attempts(before) != _ended_attempts(after)


def _phase(status: TextToVideoJobStatus | None) -> tuple[object, ...]:
    """What a person waits for: another request, a generation that was seen, a phase, new links."""
    if status is None:
        return ()
    return status.request_hash, status.observed_generation, status.phase, status.link_renewal


def _ended_attempts(status: TextToVideoJobStatus | None) -> list[object]:
    attempts = status.attempts if status else ()
    return [(each.pod_name, each.reason) for each in attempts if each.reason]


def _stage(status: TextToVideoJobStatus) -> object:
    return status.progress.stage if status.progress else None

"""Rules about a video that need not be made: it is in the store, or somebody else makes it."""

from t2v_api.reasons import Waiting
from t2v_api.resource import Phase

from t2v_operator.core.decision import Decision
from t2v_operator.core.situation import Situation
from t2v_operator.core.status import reused_status

TWIN_SECONDS = 5.0
"""Between two looks at who makes the same video; they ask nobody."""


def a_video_that_is_stored_is_taken(situation: Situation) -> Decision | None:
    """No GPU makes it again. Asked for only where a Job would be made."""
    stored = situation.observed.stored
    if stored is None or situation.observed.job is not None:
        return None
    return Decision(reused_status(situation.subject, stored))


def a_video_that_another_resource_makes_is_waited_for(situation: Situation) -> Decision | None:
    """Of equal requests one is made. Whatever becomes of it, the next look goes on from there."""
    twin = situation.observed.twin
    if not twin or situation.observed.job is not None:
        return None
    message = f"{twin} makes the very same video; it is taken when it is there"
    # Pending: it has no Job that could be missed.
    status = situation.waiting(Phase.PENDING, Waiting.SAME_VIDEO, message)
    return Decision(status, again_seconds=TWIN_SECONDS)

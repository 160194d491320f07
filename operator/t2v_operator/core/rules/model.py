"""Rules about the model that a resource names."""

from t2v_api.reasons import Waiting
from t2v_api.resource import Phase

from t2v_operator.core.decision import Decision
from t2v_operator.core.situation import Situation

PERCENT_SECONDS = 30.0
"""How often the message of who waits follows the percent; who waits is told at once of the end."""


def a_model_that_is_not_ready_is_waited_for(situation: Situation) -> Decision | None:
    """Before a Job is made. One that goes already has all it needs."""
    if situation.observed.job is not None:
        return None
    model = situation.catalogue.not_ready(situation.spec.model_id)
    if model is None:
        return None
    # Pending: it has no Job that could be missed.
    status = situation.waiting(Phase.PENDING, Waiting.MODEL_NOT_READY, model.why_not)
    return Decision(status, again_seconds=PERCENT_SECONDS)

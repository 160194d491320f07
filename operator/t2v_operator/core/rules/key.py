"""Rules about the API key that a resource names. Asked for only where keys are used."""

from dataclasses import replace

from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase

from t2v_operator.core.decision import Decision
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.situation import Situation

KEY_SECONDS = 15.0
"""How often a key is looked for again that is not there, or could not be read."""


def a_key_that_is_not_there_is_waited_for(situation: Situation) -> Decision | None:
    """GitOps may bring its Secret after the resource; an API server may be away."""
    problem = _problem(situation)
    if situation.observed.job is not None or problem is None or problem.is_final:
        return None
    # Pending: it has no Job that could be missed.
    status = situation.waiting(Phase.PENDING, Waiting(problem.reason), problem.message)
    return Decision(status, again_seconds=KEY_SECONDS)


def a_key_that_is_refused_makes_no_job(situation: Situation) -> Decision | None:
    """Confirmed: the watch may not have seen a key that was made just now."""
    problem = _problem(situation)
    if situation.observed.job is not None or problem is None or not problem.is_final:
        return None
    refused = situation.refused(Reason(problem.reason), problem.message)
    return replace(refused, rests_on_absence=True)


def a_job_whose_key_was_revoked_does_not_begin(situation: Situation) -> Decision | None:
    """What has begun goes on: the GPU's time is spent, and somebody waits for the video."""
    problem = _problem(situation)
    if problem is None or not problem.is_final or _has_begun(situation):
        return None
    return situation.failed(Reason(problem.reason), f"{problem.message}; its Job had not begun")


def _problem(situation: Situation) -> KeyProblem | None:
    found = situation.observed.key
    return found if isinstance(found, KeyProblem) else None


def _has_begun(situation: Situation) -> bool:
    """Whether any run of it ever did, in this cluster or in one that the Job was sent to."""
    previous, job = situation.previous, situation.job
    was_running = previous is not None and previous.phase is Phase.RUNNING
    elsewhere = not job.has_local_pods and job.active_pods > 0
    return bool(situation.history.latest) or was_running or elsewhere

"""Rules about the model that a resource names."""

from t2v_api.reasons import Waiting
from t2v_api.resource import Phase

from t2v_operator.core.decision import LOOK_AGAIN_SECONDS, Decision
from t2v_operator.core.models.missing import Missed, missed_by, vain
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.situation import TOO_LATE, Situation, removals

PERCENT_SECONDS = 30.0
"""How often the message of who waits follows the percent; who waits is told at once of the end."""
MOST_VAIN = 5
"""A Job is made so many times again for a model that its pod did not find, or `backoffLimit` times
where that is less, but once at least."""


def a_model_that_is_not_ready_is_waited_for(situation: Situation) -> Decision | None:
    """Before a Job is made. One that goes already has all it needs."""
    if situation.observed.job is not None:
        return None
    name = situation.spec.model_id
    not_ready, promised = situation.catalogue.not_ready(name), situation.catalogue.promised(name)
    missed = missed_by(situation.previous)
    if not_ready is not None:
        message = not_ready.why_not
    elif promised is not None and situation.catalogue.is_missed(promised, missed):
        message = _gone(promised, missed, situation)
    else:
        return None
    # Pending: it has no Job that could be missed.
    status = situation.waiting(Phase.PENDING, Waiting.MODEL_NOT_READY, message)
    return Decision(status, again_seconds=PERCENT_SECONDS)


def a_video_waits_for_a_model_that_its_pod_did_not_find(situation: Situation) -> Decision | None:
    """Its Job goes: tries at short intervals, each on a GPU, are no way to wait for a download.

    The attempt on its status is what the VideoModel is fetched again for.
    """
    job, history = situation.job, situation.history
    last = history.latest[-1] if history.latest else None
    if last is None or not vain([last]) or (job.failure and job.failure[0] == TOO_LATE):
        return None
    if last.pod_name not in [pod.name for pod in situation.observed.pods]:
        return None  # the run was an earlier Job's; this one left none
    model, plan = situation.catalogue.promised(situation.spec.model_id), job.plan
    if model is None or plan is None or last.start_time is None:
        return None
    if len(vain(history.latest)) > min(max(1, situation.spec.backoff_limit), MOST_VAIN):
        return None
    missed = Missed(plan.model_revision, last.start_time, last.node_name)
    is_gone = model.profile is None or situation.catalogue.is_missed(model, missed)
    if not is_gone and job.failure is None:
        return None  # it has come since: the Job's next try finds it
    # Pending: it has no Job that could be missed.
    status = situation.on_the_way(
        Phase.PENDING, Waiting.MODEL_NOT_READY, _gone(model, missed, situation)
    )
    return Decision(status, removals((job,)), again_seconds=LOOK_AGAIN_SECONDS)


def _gone(model: ObservedModel, missed: Missed | None, situation: Situation) -> str:
    if missed and missed.node and situation.config.model_cache.is_of_each_node:
        return (
            f"VideoModel {model.name} was not on node {missed.node} any more; it is fetched there "
            "again, and the video is made where it is"
        )
    return (
        f"VideoModel {model.name} was not in the model cache any more; the video is made when it "
        "is there again"
    )

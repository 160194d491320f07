"""The rule about a video that nobody wants any more."""

from t2v_api.reasons import Reason
from t2v_api.resource import Phase
from t2v_api.result import GenerationResult

from t2v_operator.core.attempts import closed, handed_in, made_it, result_of
from t2v_operator.core.decision import Decision
from t2v_operator.core.observed import ObservedJob
from t2v_operator.core.situation import Situation
from t2v_operator.core.status import failed_status


def a_cancelled_video_is_given_up(situation: Situation) -> Decision | None:
    """Wherever it is. Its Job is removed once that is said, as of everything that has ended.

    Confirmed: a pod that the cache has not seen may have made the video.
    """
    spec, job = situation.observed.resource.spec, _own_job(situation)
    if spec is None or not spec.cancel or _is_made(situation, job):
        return None
    phase = situation.previous.phase if situation.previous else Phase.PENDING
    status = failed_status(
        situation.subject,
        job.plan if job else None,
        Reason.CANCELLED,
        f"cancelled: 'cancel' is true; it was {phase} until then",
        closed(situation.history, Reason.CANCELLED, "it was cancelled", situation.observed.now),
        situation.observed.now,
    )
    return Decision(status, again_seconds=0.0, rests_on_absence=True)


def _own_job(situation: Situation) -> ObservedJob | None:
    job = situation.observed.job
    return job if job and job.owner_uid == situation.observed.resource.metadata.uid else None


def _is_made(situation: Situation, job: ObservedJob | None) -> bool:
    """Whether its video is there already: whoever tells it stays, and the other rules hear it."""
    if job is None:
        return False
    pods = situation.observed.pods
    record = handed_in(job.handed_in)
    told = isinstance(record, GenerationResult) or result_of(pods) is not None
    return told or made_it(pods) or job.is_complete

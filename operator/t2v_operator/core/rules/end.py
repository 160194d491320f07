"""Rules about the end of a Job: a video, or why there is none."""

from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase
from t2v_api.result import GenerationFailure, GenerationResult

from t2v_operator.config import MOST_RETRIES_IN_POD
from t2v_operator.core.attempts import RunnerEnd, failed_attempt, handed_in, made_it, result_of
from t2v_operator.core.decision import LOOK_AGAIN_SECONDS, Decision
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.pools import larger_pool, ran_out
from t2v_operator.core.request import resolve
from t2v_operator.core.situation import TOO_LATE, Situation, removals
from t2v_operator.core.status import ended_status, status_without_record
from t2v_operator.errors import RequestRefused


def a_result_that_was_handed_in_is_a_video(situation: Situation) -> Decision | None:
    """Whatever became of its pod and Job after that: the files were seen in the store by then.

    Where the pod's termination message is there as well, it says the same, and more of the run.
    """
    job, history = situation.job, situation.history
    record = handed_in(job.handed_in)
    if not isinstance(record, GenerationResult) or result_of(situation.observed.pods):
        return None
    if not job.is_finished and any(not pod.is_over for pod in situation.observed.pods):
        return None  # its pod is about to tell it itself
    ended = job.finished or situation.observed.now
    began = next((each.start_time for each in history.latest if each.start_time), None)
    end = RunnerEnd(record, 0, start_time=began or job.created or ended, completion_time=ended)
    return Decision(ended_status(situation.subject, job.plan, end, history))


def a_complete_job_is_a_video(situation: Situation) -> Decision | None:
    """As the pod's termination message tells it; without one, the exit code says it."""
    job, pods = situation.job, situation.observed.pods
    if not job.is_complete:
        return None
    end, history = result_of(pods), situation.history
    if end:
        return Decision(ended_status(situation.subject, job.plan, end, history))
    ended = job.finished or situation.observed.now
    status = status_without_record(situation.subject, job.plan, history, ended)
    return Decision(status, rests_on_absence=job.has_local_pods and not made_it(pods))


def a_video_that_was_made_as_its_job_was_suspended_is_one(
    situation: Situation,
) -> Decision | None:
    """The Job does not count a pod that it takes away, and would make the video anew one day."""
    job, pods, end = situation.job, situation.observed.pods, result_of(situation.observed.pods)
    if end is None or not job.suspended or any(not pod.is_over for pod in pods):
        return None
    return Decision(ended_status(situation.subject, job.plan, end, situation.history))


def a_video_that_ran_out_of_gpu_memory_moves_to_a_larger_pool(
    situation: Situation,
) -> Decision | None:
    """Its Job is removed first: the next one has its name. The attempts say where it ran out."""
    job, history = situation.job, situation.history
    last = history.latest[-1] if history.latest else None
    if job.failure is None or job.failure[0] == TOO_LATE or last is None or not ran_out(last):
        return None
    if job.plan is None or last.pool != job.plan.pool:
        return None  # the run was an earlier Job's; this one left none
    if isinstance(situation.observed.key, KeyProblem) and situation.observed.key.is_final:
        return None  # another Job would need the key
    try:
        resource = situation.observed.resource.as_contract
        resolved = resolve(
            resource, situation.config, catalogue=situation.catalogue, key=situation.key
        )
    except RequestRefused:
        return None
    pool = larger_pool(resolved, situation.config, history.latest)
    if pool is None:
        return None
    message = f"{failed_attempt(history)}; it is made in pool {pool.name}, which has more memory"
    # Pending: it has no Job that could be missed.
    status = situation.on_the_way(Phase.PENDING, Waiting.LARGER_POOL, message)
    return Decision(status, removals((job,)), again_seconds=LOOK_AGAIN_SECONDS)


def a_failed_job_is_a_failure(situation: Situation) -> Decision | None:
    """With the reason of its last attempt."""
    if situation.job.failure is None:
        return None
    reason, message = situation.job.failure
    if reason == TOO_LATE:
        limit = situation.job.active_deadline_seconds
        text = f"activeDeadlineSeconds is {limit}; the video was not finished by then"
        return situation.failed(Reason.DEADLINE_EXCEEDED, text)
    history = situation.history
    told = [(each.reason, each.message) for each in history.latest if each.reason]
    record = handed_in(situation.job.handed_in)
    if not told and isinstance(record, GenerationFailure):
        return situation.failed(record.reason, record.message)
    if not told:
        text = f"the Job failed ({reason}: {message}) and no pod of it is left that tells why"
        return situation.failed(Reason.RUNNER_VANISHED, text)
    last_reason, last = told[-1]
    text = f"{last} (the last of {history.count} attempts)" if history.count > 1 else last
    return situation.failed(last_reason, text)


def a_job_that_is_disrupted_too_often_has_failed(situation: Situation) -> Decision | None:
    """The Job controller itself would replace evicted pods for ever."""
    history, limit = situation.history, situation.spec.max_disruptions
    if history.disruptions <= limit:
        return None
    text = (
        f"the pod was taken away {history.disruptions} times; maxDisruptions is {limit}; "
        f"the last time: {history.latest[-1].message}"
    )
    return situation.failed(Reason.DISRUPTED, text)


def a_runner_that_is_started_again_for_ever_has_failed(situation: Situation) -> Decision | None:
    """Runners keep count themselves; an older one does not, nor does one that a model took over."""
    pods = [pod for pod in situation.observed.pods if pod.restarts > MOST_RETRIES_IN_POD]
    if not pods:
        return None
    text = f"the runner was started again {pods[-1].restarts} times in pod {pods[-1].name}"
    told = [each.message for each in situation.history.latest if each.message]
    return situation.failed(Reason.STORAGE_FAILED, "; the last time: ".join([text, *told[-1:]]))

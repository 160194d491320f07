"""Rules about a Job that is neither finished nor going: what it does, or what it waits for."""

from datetime import datetime

from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase, TextToVideoJobStatus

from t2v_operator.core.attempts import failed_attempt, result_of
from t2v_operator.core.backoff import next_in_pod, next_pod
from t2v_operator.core.decision import LOOK_AGAIN_SECONDS, Decision
from t2v_operator.core.observed import PATIENCE_SECONDS, running_pod, waiting_pod
from t2v_operator.core.situation import Situation, given_up, replacements

NO_KUEUE = "this operator does not use Kueue any more; set kueue.enabled in its configuration"
QUOTA = "exceeded quota"
"""In the words of Kubernetes where a ResourceQuota is full."""


def a_pod_of_a_lost_node_is_replaced(situation: Situation) -> Decision | None:
    """Nothing else does: the pod cannot end, and the Job controller waits for its end."""
    now, after = situation.observed.now, situation.config.jobs.node_lost_seconds
    lost = given_up(situation.observed.pods, now, after)
    if lost is None:
        return None
    message, left = lost
    status = situation.on_the_way(Phase.RUNNING, Waiting.NODE_LOST, message)
    return Decision(status, replacements(situation.observed.pods, now, after), again_seconds=left)


def a_suspended_job_does_not_run(situation: Situation) -> Decision | None:
    if not situation.spec.suspend:
        return None
    message = "suspended: nothing runs until 'suspend' is false"
    status = situation.on_the_way(Phase.SUSPENDED, Waiting.SUSPENDED, message)
    return Decision(status, again_seconds=LOOK_AGAIN_SECONDS)


def a_running_pod_makes_the_video(situation: Situation) -> Decision | None:
    pods = situation.observed.pods
    pod = running_pod(pods)
    if pod is None and result_of(pods) is None:
        return None
    message = f"pod {pod.name} runs" if pod else "the video is made; the Job is being completed"
    status = situation.on_the_way(Phase.RUNNING, Waiting.RUNNING, message)
    return Decision(status, again_seconds=_until_lost(situation))


def a_job_in_a_queue_waits_there(situation: Situation) -> Decision | None:
    """Kueue suspends what it has not admitted, and says why on its Workload."""
    job, workload = situation.job, situation.observed.workload
    if not (job.queue and job.suspended):
        return None
    if workload is None:
        uses_kueue = situation.config.kueue.enabled
        why = "Kueue has not made a Workload for it yet" if uses_kueue else NO_KUEUE
        message = f"waits in queue {job.queue}: {why}"
        # How long it has waited, only the Workload tells.
        status = situation.on_the_way(Phase.QUEUED, Waiting.WAITING_IN_QUEUE, message)
        return Decision(status, again_seconds=LOOK_AGAIN_SECONDS)
    if workload.has_quota:
        message = f"waits in queue {job.queue}: it has its quota and is about to be admitted"
        status = situation.on_the_way(Phase.QUEUED, Waiting.WAITING_IN_QUEUE, message)
        return Decision(status, again_seconds=LOOK_AGAIN_SECONDS)
    if not workload.is_active:
        message = f"waits in queue {job.queue}: its Workload {workload.name} is deactivated"
    else:
        why = workload.message or "Kueue has not looked at it yet"
        message = f"waits in queue {job.queue}: {why}"
    reason = Waiting.PREEMPTED if workload.was_preempted else Waiting.WAITING_IN_QUEUE
    status = situation.on_the_way(Phase.QUEUED, reason, message)
    return _until_deadline(situation, status, workload.since)


def a_job_that_something_else_suspended_is_queued(situation: Situation) -> Decision | None:
    if not situation.job.suspended:
        return None
    message = "the Job is suspended, by a queue or by hand; it runs when that ends"
    status = situation.on_the_way(Phase.QUEUED, Waiting.SUSPENDED, message)
    return Decision(status, again_seconds=LOOK_AGAIN_SECONDS)


def a_job_of_another_cluster_tells_by_its_own_status(situation: Situation) -> Decision | None:
    """Its pods are not here: whoever manages it brings its status along."""
    job = situation.job
    if job.has_local_pods:
        return None
    if job.active_pods:
        message = f"the Job runs in a cluster that {job.managed_by} chose"
        status = situation.on_the_way(Phase.RUNNING, Waiting.RUNNING, message)
    else:
        message = f"{job.managed_by} has not started the Job in any cluster yet"
        status = situation.on_the_way(Phase.QUEUED, Waiting.NO_POD, message)
    return Decision(status, again_seconds=LOOK_AGAIN_SECONDS)


def a_pod_that_does_not_run_yet_is_queued(situation: Situation) -> Decision | None:
    """For a GPU it may wait as long as the resource allows, for all else until the deadline."""
    pod = waiting_pod(situation.observed.pods)
    if pod is None or pod.waiting is None:
        return None
    wait = pod.waiting
    words = situation.observed.complaint or wait.message
    again = next_in_pod(pod)
    status = (
        situation.on_the_way(
            Phase.RUNNING, wait.reason, _restarting(situation), next_attempt_time=again
        )
        if wait.reason is Waiting.RESTARTING
        else situation.on_the_way(Phase.QUEUED, wait.reason, f"pod {pod.name} waits: {words}")
    )
    if wait.is_for_a_gpu:
        return _until_deadline(situation, status, wait.since)
    limit = situation.config.jobs.start_deadline_seconds
    left = limit - situation.seconds_since(wait.since)
    if left <= 0:
        text = f"pod {pod.name} did not start within {limit} s: {words}"
        return situation.failed(Reason.START_DEADLINE_EXCEEDED, text)
    # Soon the cluster's Events may say more than the pod itself.
    is_young = situation.seconds_since(wait.since) < PATIENCE_SECONDS
    look = PATIENCE_SECONDS if is_young else LOOK_AGAIN_SECONDS
    return Decision(status, again_seconds=min(left, look))


def a_job_without_a_pod_is_queued(situation: Situation) -> Decision | None:
    """Before its first pod, and between two attempts."""
    complaint = situation.observed.complaint
    reason = Waiting.QUOTA_EXCEEDED if QUOTA in complaint else Waiting.NO_POD
    follows = next_pod(situation.observed.pods)
    status = situation.on_the_way(
        Phase.QUEUED, reason, _no_pod(situation), next_attempt_time=follows
    )
    again = LOOK_AGAIN_SECONDS if complaint else PATIENCE_SECONDS
    return Decision(status, again_seconds=again)


def _until_deadline(
    situation: Situation, status: TextToVideoJobStatus, since: datetime
) -> Decision:
    limit = situation.spec.queue_deadline_seconds
    if limit is None:
        return Decision(status, again_seconds=LOOK_AGAIN_SECONDS)
    left = limit - situation.seconds_since(since)
    if left <= 0:
        text = f"queueDeadlineSeconds is {limit}; {status.message}"
        return situation.failed(Reason.QUEUE_DEADLINE_EXCEEDED, text)
    return Decision(status, again_seconds=min(left, LOOK_AGAIN_SECONDS))


def _until_lost(situation: Situation) -> float:
    """A pod that is being deleted should be gone soon: else its node is lost."""
    going = any(pod.gone_by and not pod.is_over for pod in situation.observed.pods)
    return 30.0 if going else LOOK_AGAIN_SECONDS


def _restarting(situation: Situation) -> str:
    pod_name = situation.history.latest[-1].pod_name
    return (
        f"{failed_attempt(situation.history)}; the runner is started again in pod {pod_name}, "
        "where its files still are"
    )


def _no_pod(situation: Situation) -> str:
    history, complaint = situation.history, situation.observed.complaint
    last = history.latest[-1] if history.latest else None
    if last and last.reason:
        text = f"{failed_attempt(history)}; another follows"
    else:
        text = "the Job controller is making the pod"
    return f"{text}; it says: {complaint}" if complaint else text

"""Rules about the Job that fetches a VideoModel into the model cache, or into one node's."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from t2v_api.base import ContractError
from t2v_api.prefetch import PrefetchResult, read_prefetch
from t2v_api.reasons import ModelReason
from t2v_api.result import GenerationFailure

from t2v_operator.core.attempts import end_of
from t2v_operator.core.decision import LOOK_AGAIN_SECONDS, CreateJob
from t2v_operator.core.models.missing import latest_missed
from t2v_operator.core.models.prefetch_job import configured, prefetch_job
from t2v_operator.core.models.situation import ModelDecision, ModelSituation
from t2v_operator.core.observed import ObservedPod, running_pod, waiting_pod
from t2v_operator.core.situation import given_up, removals, replacements

POD_SECONDS = 60.0
"""So long a finished Job's pod is waited for: its watch may be behind the Job's."""


def what_is_missed_is_fetched_again(situation: ModelSituation) -> ModelDecision | None:
    """Somebody emptied the cache. The Job that fetches it anew has another name than the last."""
    if not _was_fetched(situation):
        return None
    missing = latest_missed(situation.model, situation.missed)
    if missing is None:
        return None
    status = situation.status(
        ModelReason.MISSING_IN_CACHE,
        "a video's pod did not find it in the model cache any more; it is fetched again",
        missing_time=missing,
        percent=0,
        pools=situation.pools(ready=False),
    )
    return ModelDecision(status, again_seconds=0.0)


def what_was_fetched_stays_ready(situation: ModelSituation) -> ModelDecision | None:
    """Its Job need not be there any more. Whatever else of the spec has changed takes effect."""
    before = situation.model.status
    if before is None or before.commit is None or not _was_fetched(situation):
        return None
    # Of a fetch that was given up, the numbers are another one's.
    total = before.bytes if before.percent == 100 else None
    status = situation.status(
        ModelReason.AVAILABLE,
        f"ready at commit {before.commit[:12]}",
        bytes=total,
        total_bytes=total,
        percent=100,
        pools=situation.pools(ready=True),
    )
    return ModelDecision(status)


def _was_fetched(situation: ModelSituation) -> bool:
    """Whether what the spec names came into the cache of today, and is not known to be gone."""
    before = situation.model.status
    if before is None or before.commit is None or situation.model.is_fetched_again:
        return False
    return situation.is_of_this_fetch


def a_model_without_a_job_gets_one(situation: ModelSituation) -> ModelDecision | None:
    if situation.job is not None:
        return None
    manifest = prefetch_job(
        situation.model, situation.config, situation.to_keep, situation.node, situation.commits
    )
    message = f"the Job {manifest['metadata']['name']} was made, which fetches it"
    return _on_the_way(situation, message, CreateJob(manifest))


def a_pod_of_a_lost_node_is_replaced(situation: ModelSituation) -> ModelDecision | None:
    """Nothing else does where the node's name stays. One that has a cache of its own is waited for:
    no other node can take its place."""
    job, now, after = situation.job, situation.now, situation.config.jobs.node_lost_seconds
    if job is None or job.is_finished or situation.node is not None:
        return None
    lost = given_up(situation.job_pods, now, after)
    if lost is None:
        return None
    message, left = lost
    decision = _on_the_way(situation, message, again_seconds=left)
    return replace(decision, actions=replacements(situation.job_pods, now, after))


def a_job_being_deleted_is_waited_for(situation: ModelSituation) -> ModelDecision | None:
    """Whoever wants a failed fetch tried again deletes its Job."""
    job = situation.job
    if job is None or not job.is_being_deleted:
        return None
    return _on_the_way(situation, f"the Job {job.name} is being deleted; another follows")


def a_complete_job_has_fetched_the_model(situation: ModelSituation) -> ModelDecision | None:
    """As its pod's termination message tells it. Where that is lost, another fetch finds all."""
    job, pods = situation.job, situation.job_pods
    if job is None or not job.is_complete:
        return None
    found = ((pod, record) for pod in pods if (record := _record(pod)))
    pod, record = next(found, (None, None))
    if pod and record:
        return _fetched(situation, record, _seconds(pod))
    ended = job.finished or situation.now
    left = POD_SECONDS - (situation.now - ended).total_seconds()
    if left > 0:
        message = f"the Job {job.name} is complete; its pod is about to tell what came"
        return _on_the_way(situation, message, again_seconds=left)
    if any(pod.end for pod in pods):
        message = (
            f"the Job {job.name} is complete and left no record of what it fetched; the runner's "
            f"image {situation.config.runner.image} may be of another version"
        )
        return situation.stalled(
            ModelReason.PREFETCH_FAILED, message, pools=situation.pools(ready=False)
        )
    decision = _on_the_way(situation, f"the record of the Job {job.name} is lost; another follows")
    assert decision.status
    return ModelDecision(decision.status, removals((job,)))


def a_job_of_an_earlier_configuration_goes(situation: ModelSituation) -> ModelDecision | None:
    """Unless it fetches just now: an image, a node selector or an address of the hub may have been
    mended since, which this Job waits for, or has failed without."""
    job = situation.job
    if job is None or not job.applied or running_pod(situation.job_pods):
        return None
    if job.applied == configured(situation.model, situation.config, situation.node):
        return None
    message = f"the configuration has changed since {job.name} was made; another follows"
    decision = _on_the_way(situation, message)
    return replace(decision, actions=removals((job,)))


def a_failed_job_is_told(situation: ModelSituation) -> ModelDecision | None:
    """With the reason of its last attempt; the Job itself has tried it again by then."""
    job = situation.job
    if job is None or job.failure is None:
        return None
    told = _last_failure(situation.job_pods)
    words = told.message if told else f"{job.failure[0]}: {job.failure[1]}"
    message = f"{words}; to try again, delete the Job {job.name}, or change what is fetched"
    return situation.stalled(
        ModelReason.PREFETCH_FAILED, message, pools=situation.pools(ready=False)
    )


def a_job_that_goes_tells_how_far_it_is(situation: ModelSituation) -> ModelDecision | None:
    progress, pods = situation.progress, situation.job_pods
    if running_pod(pods) and progress and progress.bytes is not None and progress.total_bytes:
        percent = progress.bytes * 100 // progress.total_bytes
        message = f"{percent} % of {_in_gb(progress.total_bytes)} is there"
        status = situation.status(
            ModelReason.PREFETCHING,
            message,
            bytes=progress.bytes,
            total_bytes=progress.total_bytes,
            percent=percent,
            eta_seconds=progress.eta_seconds,
            pools=situation.pools(ready=False),
        )
        return ModelDecision(status, again_seconds=LOOK_AGAIN_SECONDS)
    if pods:
        return _on_the_way(situation, _what_the_pod_does(pods))
    return _without_a_pod(situation)


FETCHING: tuple[Callable[[ModelSituation], ModelDecision | None], ...] = (
    what_is_missed_is_fetched_again,
    what_was_fetched_stays_ready,
    a_model_without_a_job_gets_one,
    a_pod_of_a_lost_node_is_replaced,
    a_job_being_deleted_is_waited_for,
    a_complete_job_has_fetched_the_model,
    a_job_of_an_earlier_configuration_goes,
    a_failed_job_is_told,
    a_job_that_goes_tells_how_far_it_is,
)
"""The first that has something to say decides; the last always has."""


def _on_the_way(
    situation: ModelSituation,
    message: str,
    *actions: CreateJob,
    again_seconds: float = LOOK_AGAIN_SECONDS,
) -> ModelDecision:
    pools = situation.pools(ready=False)
    status = situation.status(ModelReason.PREFETCHING, message, percent=0, pools=pools)
    return ModelDecision(status, actions, again_seconds)


def _fetched(
    situation: ModelSituation, record: PrefetchResult, seconds: float | None
) -> ModelDecision:
    status = situation.status(
        ModelReason.AVAILABLE,
        f"ready at commit {str(record.commit)[:12]}",
        sources=situation.spec.sources,
        cache=situation.config.model_cache.named,
        commit=record.commit,
        motion_adapter_commit=record.motion_adapter_commit,
        bytes=record.bytes,
        total_bytes=record.bytes,
        percent=100,
        sha256=record.sha256,
        converted_to=record.converted_to,
        fetched_time=_after_it_was_missed(situation),
        fetched_bytes=record.fetched_bytes,
        fetch_seconds=seconds,
        pools=situation.pools(ready=True),
        nodes=(),
    )
    # Whose clock is ahead may have missed it after this: that is looked at now, or never.
    return ModelDecision(status, again_seconds=0.0)


def _after_it_was_missed(situation: ModelSituation) -> datetime:
    """Now, or a second after the pod that missed it: the clock of that pod's node may be ahead.

    Else it would be missed, and fetched, until the clocks meet.
    """
    status = situation.model.status
    if status is None or status.missing_time is None:
        return situation.now
    return max(situation.now, status.missing_time + timedelta(seconds=1))


def _record(pod: ObservedPod) -> PrefetchResult | None:
    if pod.end is None or pod.end.exit_code != 0:
        return None
    try:
        record = read_prefetch(pod.end.message)
    except ContractError:
        return None
    return record if isinstance(record, PrefetchResult) and record.commit else None


def _seconds(pod: ObservedPod) -> float | None:
    """How long its container ran."""
    end = pod.end
    if end is None or end.started is None or end.finished is None:
        return None
    return max(0.0, (end.finished - end.started).total_seconds())


def _last_failure(pods: tuple[ObservedPod, ...]) -> GenerationFailure | None:
    ends = [end.outcome for pod in pods if (end := end_of(pod))]
    failures = [each for each in ends if isinstance(each, GenerationFailure)]
    return failures[-1] if failures else None


def _what_the_pod_does(pods: tuple[ObservedPod, ...]) -> str:
    pod, waits = running_pod(pods), waiting_pod(pods)
    if pod:
        return f"pod {pod.name} runs, and has not told yet how far it is"
    if waits and waits.waiting:
        return f"pod {waits.name} waits: {waits.waiting.message}"
    failure = _last_failure(pods)
    if failure:
        return f"the last attempt failed ({failure.reason}: {failure.message}); another follows"
    return "the Job controller is making another pod"


def _without_a_pod(situation: ModelSituation) -> ModelDecision:
    """The Job controller has a reason for that, which it tells in an Event of the Job alone."""
    job = situation.job
    assert job
    begun = job.created or situation.now
    left = POD_SECONDS - (situation.now - begun).total_seconds()
    if left > 0:
        message = "the Job controller is making the pod"
        return _on_the_way(situation, message, again_seconds=left)
    message = (
        f"the Job controller makes no pod of {job.name}; its Events say why (kubectl describe "
        "job), such as a quota, or a Pod Security Standard that forbids hostPath volumes"
    )
    return _on_the_way(situation, message)


def _in_gb(count: int) -> str:
    return f"{count / 1e9:.2f} GB"

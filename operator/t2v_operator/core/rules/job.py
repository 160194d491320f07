"""Rules about the Job's life: whose it is, when it is made, what of it may change."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import KIND, Attempt, OutputPolicy, Phase, TextToVideoJobSpec
from t2v_api.store_name import STORE
from t2v_api.web_address import AddressRefused, check_literal

from t2v_operator.config import VolumeStorage
from t2v_operator.core.attempts import History, history_on, with_attempt
from t2v_operator.core.balancing import work_in
from t2v_operator.core.decision import (
    LOOK_AGAIN_SECONDS,
    Action,
    CreateJob,
    Decision,
    PatchJob,
    PatchWorkload,
)
from t2v_operator.core.enhancing import Answer
from t2v_operator.core.estimate import estimate
from t2v_operator.core.job import applied, build_job, mutable_values, queue_labels
from t2v_operator.core.names import APPLIED_ANNOTATION, QUEUE_LABEL, QUEUE_PRIORITY_LABEL
from t2v_operator.core.observed import PATIENCE_SECONDS
from t2v_operator.core.plan import read_plan
from t2v_operator.core.pools import placed
from t2v_operator.core.request import ResolvedJob, resolve
from t2v_operator.core.situation import UNDER_WAY, Situation, replacements
from t2v_operator.core.status import failed_status, planned, with_notices
from t2v_operator.errors import RequestRefused

ENDED_BY_DELETION = (None, Reason.STOPPED, Reason.RUNNER_VANISHED)
"""How a run looks whose pod went with its Job."""
SEEN_LATE = (Reason.MODEL_NOT_FOUND, Reason.POOL_NEEDS_KEY)
"""A VideoModel that was applied with it, or a key that was just changed, may not be seen yet."""
QUEUE_SECONDS = 60.0
"""How often a queue that cannot be used is looked for again."""


def a_job_of_somebody_else_is_left_alone(situation: Situation) -> Decision | None:
    """Also one of a resource of this name that was deleted: it goes by itself."""
    job, metadata = situation.observed.job, situation.observed.resource.metadata
    if job is None or job.owner_uid == metadata.uid:
        return None
    if job.owner == f"{KIND} {metadata.name}":
        reason = Waiting.JOB_BEING_DELETED
        message = f"the Job {job.name} of a deleted resource of this name is being removed"
    else:
        reason = Waiting.JOB_NAME_TAKEN
        owner = f"belongs to {job.owner}" if job.owner else "has no owner"
        message = f"a Job {job.name} is there already and {owner}; delete it, or rename this"
    status = situation.waiting(Phase.PENDING, reason, message)
    # Without our label its end is not seen by the cache.
    return Decision(status, again_seconds=LOOK_AGAIN_SECONDS / 10, rests_on_absence=True)


def a_job_that_was_deleted_is_made_again(situation: Situation) -> Decision | None:
    """At most `backoffLimit` times; each one is an attempt on the status."""
    previous = situation.previous
    if situation.observed.job or previous is None or previous.phase not in UNDER_WAY:
        return None
    message = f"the Job {previous.job_name} was deleted before the video was finished"
    history = _cut_off(history_on(previous), message, situation.observed.now)
    limit = situation.spec.backoff_limit
    if _deletions(history) <= limit:
        return replace(_created(situation, history), rests_on_absence=True)
    text = f"{message}; backoffLimit is {limit}"
    now = situation.observed.now
    status = failed_status(situation.subject, None, Reason.JOB_DELETED, text, history, now)
    return Decision(status, rests_on_absence=True)


def a_suspended_resource_gets_no_job(situation: Situation) -> Decision | None:
    if situation.observed.job or not situation.spec.suspend:
        return None
    return Decision(
        situation.waiting(Phase.SUSPENDED, Waiting.SUSPENDED, "suspended: no Job is made")
    )


def a_request_without_a_job_gets_one(situation: Situation) -> Decision | None:
    """Or is refused, before a GPU is touched."""
    return _created(situation, situation.history) if situation.observed.job is None else None


def a_job_being_deleted_is_waited_for(situation: Situation) -> Decision | None:
    job, previous = situation.job, situation.previous
    if not job.is_being_deleted:
        return None
    # Where the request was another one until now, the deletion is our own: it is no attempt.
    phase = previous.phase if previous else Phase.PENDING
    message = f"the Job {job.name} is being deleted"
    status = situation.on_the_way(phase, Waiting.JOB_BEING_DELETED, message)
    lost = replacements(
        situation.observed.pods,
        situation.observed.now,
        situation.config.jobs.node_lost_seconds,
    )
    return Decision(status, lost, again_seconds=30.0)


def brought_into_line(situation: Situation) -> tuple[tuple[Action, ...], Situation]:
    """What of the Job has to follow the resource, and the situation after that.

    Only what changed on the resource since the Job was last brought into line: whatever else
    changes a Job, such as a queue that suspends it, is not fought with.
    """
    job, spec, workload = situation.job, situation.spec, situation.observed.workload
    wanted = mutable_values(spec)
    before = job.applied or _without_a_note(situation)
    changed = {name: value for name, value in wanted.items() if before.get(name) != value}
    labels = _changed_labels(situation)
    actions: list[Action] = []
    if job.queue:
        if "suspend" in changed and workload is None:
            # Kueue has not seen the Job yet; its Workload is an occasion to look again.
            return (), situation
        # Kueue undoes a change of the Job's own suspend at once, after a pod has started. What
        # somebody else deactivated stays so; what is suspended does not run, whoever says so.
        if workload and ("suspend" in changed or (spec.suspend and workload.is_active)):
            actions.append(PatchWorkload(workload.name, is_active=not spec.suspend))
            workload = replace(workload, is_active=not spec.suspend)
    if not changed and not labels and not actions and job.applied:
        return (), situation
    metadata: dict[str, Any] = {"annotations": {APPLIED_ANNOTATION: applied(spec)}}
    patch = {"metadata": metadata | ({"labels": labels} if labels else {})}
    of_the_job = {
        name: value for name, value in changed.items() if not (job.queue and name == "suspend")
    }
    if changed or labels or not job.applied:
        actions.append(PatchJob(job.name, patch | ({"spec": of_the_job} if of_the_job else {})))
    after = replace(
        job,
        suspended=spec.suspend if "suspend" in of_the_job else job.suspended,
        active_deadline_seconds=spec.active_deadline_seconds,
        backoff_limit=spec.backoff_limit,
        applied=wanted,
    )
    observed = replace(situation.observed, job=after, workload=workload)
    return tuple(actions), replace(situation, observed=observed)


def _without_a_note(situation: Situation) -> dict[str, Any]:
    """What a Job of an older version was last brought into line with: that wrote no note.

    It followed the resource once for each generation; after that a suspension is not ours.
    """
    job, observed = situation.job, situation.observed.resource.is_observed
    return {
        "suspend": situation.spec.suspend if observed else job.suspended,
        "activeDeadlineSeconds": job.active_deadline_seconds,
        "backoffLimit": job.backoff_limit,
    }


def _changed_labels(situation: Situation) -> dict[str, str]:
    """A queue may change while the Job is held, a priority in it at any time; neither may go."""
    job, spec = situation.job, situation.spec
    labels = {}
    if spec.queue_name and spec.queue_name != job.queue and job.suspended:
        labels[QUEUE_LABEL] = spec.queue_name
    is_queued = job.queue or labels
    if is_queued and spec.priority_class_name not in (None, job.queue_priority):
        labels[QUEUE_PRIORITY_LABEL] = str(spec.priority_class_name)
    return labels


def _created(situation: Situation, history: History) -> Decision:
    needs_a_store = _what_removes_files(situation.spec)
    if needs_a_store and isinstance(situation.config.storage, VolumeStorage):
        text = f"{needs_a_store} needs a store; the operator cannot remove files from a volume"
        return situation.refused(Reason.INVALID_REQUEST, text)
    refused_url = _refused_url(situation)
    if refused_url:
        return refused_url
    try:
        resource = situation.observed.resource.as_contract
        resolved = resolve(
            resource, situation.config, _answer(situation), situation.catalogue, situation.key
        )
        decided = situation.previous.pool if situation.previous else None
        load = situation.observed.load
        resolved = placed(resolved, situation.config, history.latest, load, decided)
    except RequestRefused as refusal:
        refused = situation.refused(refusal.reason, refusal.message)
        return replace(refused, rests_on_absence=refusal.reason in SEEN_LATE)
    problem = _queue_problem(situation, resolved)
    if problem:
        status = situation.waiting(Phase.PENDING, Waiting.QUEUE_NOT_AVAILABLE, problem)
        return Decision(status, again_seconds=QUEUE_SECONDS)
    if resolved.question:
        message = "the prompt is being enhanced; the Job is made after that"
        status = situation.waiting(
            Phase.PENDING, Waiting.ENHANCING_PROMPT, message, **history.fields
        )
        return Decision(status, again_seconds=LOOK_AGAIN_SECONDS, question=resolved.question)
    expected = estimate(resolved, situation.observed.earlier_runs)
    manifest = build_job(resolved, situation.config, situation.observed.resource.job_name, expected)
    plan = read_plan(manifest)
    text = with_notices(f"the Job {manifest['metadata']['name']} was made", plan)
    phase = Phase.SUSPENDED if situation.spec.suspend else Phase.QUEUED
    reason = Waiting.SUSPENDED if situation.spec.suspend else Waiting.NO_POD
    status = situation.waiting(
        phase,
        reason,
        text,
        **(planned(plan) | history.fields),
        progress=None,
    )
    return Decision(
        status,
        (CreateJob(manifest),),
        again_seconds=PATIENCE_SECONDS,
        work=work_in(resolved, expected),
    )


def _answer(situation: Situation) -> Answer | None:
    """The prompt that the request's Job had, where it is made again; else what was answered now."""
    previous = situation.previous
    if previous and previous.resolved:
        return Answer(previous.resolved.prompt)
    return situation.observed.answer


def _what_removes_files(spec: TextToVideoJobSpec) -> str:
    if spec.output_policy is OutputPolicy.DELETE:
        return "outputPolicy Delete"
    return "" if spec.output_ttl_seconds is None else f"outputTtlSeconds {spec.output_ttl_seconds}"


def _refused_url(situation: Situation) -> Decision | None:
    """What cannot be reached from here is known before a GPU is taken, as far as a URL tells it."""
    for media in situation.spec.media:
        problem = _problem_with_media(media, situation)
        if problem:
            return situation.refused(Reason.INIT_MEDIA_REFUSED, problem)
    webhook = situation.spec.webhook
    problem = _problem_with_address(webhook, situation) if webhook else ""
    return situation.refused(Reason.WEBHOOK_REFUSED, problem) if problem else None


def _problem_with_media(url: str, situation: Situation) -> str:
    if url.startswith("file:"):
        return f"{url} names a file of a pod; a cluster takes http:// and https:// URLs"
    if not url.startswith(STORE):
        return _problem_with_address(url, situation)
    if isinstance(situation.config.storage, VolumeStorage):
        return f"{url} names a file of a store, and a volume is none; give an https:// URL"
    return ""


def _problem_with_address(url: str, situation: Situation) -> str:
    try:
        check_literal(url, situation.config.allowed_addresses)
    except AddressRefused as error:
        return str(error)
    return ""


def _queue_problem(situation: Situation, job: ResolvedJob) -> str:
    """Why the queue that is named cannot be waited in: Kueue itself would say nothing."""
    labels = queue_labels(job)
    if not labels:
        return ""
    if not situation.config.kueue.enabled:
        return (
            f"queueName is {labels[QUEUE_LABEL]}, and this operator does not use Kueue; "
            "set kueue.enabled in its configuration, or remove queueName"
        )
    priority = labels.get(QUEUE_PRIORITY_LABEL)
    if priority and not situation.observed.queue_priority_is_known:
        return (
            f"priorityClassName is {priority}, and there is no WorkloadPriorityClass of that name; "
            "in a queue it must name one"
        )
    return ""


def _deletions(history: History) -> int:
    """How often the Job was deleted, as far as the runs that are kept tell it."""
    return sum(each.reason is Reason.JOB_DELETED for each in history.latest)


def _cut_off(history: History, message: str, now: datetime) -> History:
    """The history after the Job was deleted: the run that went on has ended, or none had begun."""
    end: dict[str, Any] = {"reason": Reason.JOB_DELETED, "message": message, "completion_time": now}
    last = history.latest[-1] if history.latest else None
    if last is not None and last.reason in ENDED_BY_DELETION:
        return with_attempt(history, last.model_copy(update=end), in_place_of_last=True)
    return with_attempt(history, Attempt(**end), in_place_of_last=False)

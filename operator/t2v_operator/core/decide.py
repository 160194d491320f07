"""Decide the next step for one TextToVideoJob. No I/O, no clock.

`RULES` reads like the documentation: the first rule that has something to say decides.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import KIND, Attempt, Phase, TextToVideoJobSpec, TextToVideoJobStatus

from t2v_operator.config import OperatorConfig
from t2v_operator.core.attempts import attempts_of, end_of, result_of
from t2v_operator.core.job import Manifest, build_job
from t2v_operator.core.observed import Observed, ObservedJob, running_pod
from t2v_operator.core.plan import read_plan
from t2v_operator.core.request import resolve
from t2v_operator.core.status import (
    Subject,
    ended_status,
    failed_status,
    planned,
    status_of,
    with_notices,
)
from t2v_operator.errors import RequestRefused

PROGRESS_SECONDS = 3.0
"""How often a running video's progress is looked at."""
WAITING_SECONDS = 15.0
"""How often something is looked at that should change by itself and be seen at once."""

UNDER_WAY = (Phase.QUEUED, Phase.RUNNING)


@dataclass(frozen=True)
class CreateJob:
    """Make the Job."""

    manifest: Manifest


@dataclass(frozen=True)
class PatchJob:
    """Change what of a Job's spec may change."""

    name: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class DeleteJob:
    """Remove the Job and its pods."""

    name: str
    uid: str


Action = CreateJob | PatchJob | DeleteJob


@dataclass(frozen=True)
class Decision:
    """What to do, then what to say, then when to look again."""

    status: TextToVideoJobStatus | None
    """None: leave it as it is."""
    actions: tuple[Action, ...] = ()
    again_seconds: float | None = None
    """None: when something changes."""


@dataclass(frozen=True)
class Situation:
    """Everything that the rules look at."""

    observed: Observed
    config: OperatorConfig

    @property
    def subject(self) -> Subject:
        return _subject(self.observed)

    @property
    def previous(self) -> TextToVideoJobStatus | None:
        """The status before, where it is about the present request."""
        return self.subject.previous

    @property
    def spec(self) -> TextToVideoJobSpec:
        spec = self.observed.resource.spec
        assert spec  # the rule before those that ask has dealt with specs that do not fit
        return spec

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The runs so far."""
        return attempts_of(self.observed.pods, self.previous.attempts if self.previous else ())

    def waiting(
        self, phase: Phase, reason: Waiting, message: str, **fields: Any
    ) -> TextToVideoJobStatus:
        """A status of a video that is still to come."""
        return status_of(self.subject, phase, reason, message, **fields)

    def on_the_way(self, phase: Phase, reason: Waiting, message: str) -> TextToVideoJobStatus:
        """A status that also tells what the Job makes and what its pods did so far."""
        attempts, plan = self.attempts, self.observed.job.plan if self.observed.job else None
        fields = planned(plan)
        if self.observed.progress:
            fields["progress"] = self.observed.progress
        if attempts and attempts[0].start_time:
            fields["start_time"] = attempts[0].start_time
        text = with_notices(message, plan)
        return self.waiting(phase, reason, text, attempts=attempts, **fields)


Rule = Callable[[Situation], Decision | None]


def decide(observed: Observed, config: OperatorConfig) -> Decision:
    """The next step: the first rule that applies says it."""
    situation = Situation(observed, config)
    decisions = (rule(situation) for rule in RULES)
    return next(decision for decision in decisions if decision)


def job_refused(observed: Observed, decision: Decision, complaint: str) -> Decision:
    """What follows when the API server refuses the Job that `decision` would make."""
    status = status_of(
        _subject(observed),
        Phase.PENDING,
        Waiting.JOB_NOT_CREATED,
        f"the API server refused the Job: {complaint}",
        attempts=decision.status.attempts if decision.status else (),
    )
    return Decision(status, again_seconds=WAITING_SECONDS)


def a_resource_being_deleted_needs_nothing(situation: Situation) -> Decision | None:
    """The garbage collector removes the Job and its pods."""
    return Decision(status=None) if situation.observed.resource.is_being_deleted else None


def a_finished_request_stays_finished(situation: Situation) -> Decision | None:
    """Whatever became of its Job. The Job is removed when its TTL is over."""
    previous = situation.previous
    if previous is None or not situation.observed.resource.is_finished:
        return None
    status, removals = _still(previous, situation), _removals(situation.observed.earlier_jobs)
    spec, job = situation.observed.resource.spec, situation.observed.job
    ttl = spec.ttl_seconds_after_finished if spec else None
    if ttl is None or job is None or previous.completion_time is None:
        return Decision(status, removals)
    left = ttl - (situation.observed.now - previous.completion_time).total_seconds()
    if left > 0:
        return Decision(status, removals, again_seconds=left)
    return Decision(status, (*removals, *_removals((job,))))


def a_changed_request_first_removes_the_earlier_job(situation: Situation) -> Decision | None:
    """One resource never has two Jobs."""
    earlier = situation.observed.earlier_jobs
    if not earlier:
        return None
    names = ", ".join(job.name for job in earlier)
    status = situation.waiting(
        Phase.PENDING,
        Waiting.REQUEST_CHANGED,
        f"the request changed; the earlier Job {names} is being removed",
    )
    return Decision(status, _removals(earlier), again_seconds=WAITING_SECONDS)


def a_spec_that_does_not_fit_is_refused(situation: Situation) -> Decision | None:
    """The CRD lets little of that through; what it does is told here."""
    if situation.observed.resource.spec is not None:
        return None
    return _refused(situation, Reason.INVALID_SPEC, situation.observed.resource.complaint)


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
    return Decision(status, again_seconds=WAITING_SECONDS)


def a_job_that_was_deleted_is_made_again(situation: Situation) -> Decision | None:
    """At most `backoffLimit` times; each one is an attempt on the status."""
    previous = situation.previous
    if situation.observed.job or previous is None or previous.phase not in UNDER_WAY:
        return None
    message = f"the Job {previous.job_name} was deleted before the video was finished"
    attempts = _cut_off(previous.attempts, message, situation.observed.now)
    limit = situation.spec.backoff_limit
    if sum(attempt.reason is Reason.JOB_DELETED for attempt in attempts) <= limit:
        return _created(situation, attempts)
    text = f"{message}; backoffLimit is {limit}"
    now = situation.observed.now
    return Decision(failed_status(situation.subject, None, Reason.JOB_DELETED, text, attempts, now))


def a_suspended_resource_gets_no_job(situation: Situation) -> Decision | None:
    if situation.observed.job or not situation.spec.suspend:
        return None
    return Decision(
        situation.waiting(Phase.SUSPENDED, Waiting.SUSPENDED, "suspended: no Job is made")
    )


def a_request_without_a_job_gets_one(situation: Situation) -> Decision | None:
    """Or is refused, before a GPU is touched."""
    return _created(situation, situation.attempts) if situation.observed.job is None else None


def a_job_being_deleted_is_waited_for(situation: Situation) -> Decision | None:
    job, previous = _job(situation), situation.previous
    if not job.is_being_deleted:
        return None
    phase = previous.phase if previous and previous.phase in UNDER_WAY else Phase.QUEUED
    message = f"the Job {job.name} is being deleted"
    status = situation.on_the_way(phase, Waiting.JOB_BEING_DELETED, message)
    return Decision(status, again_seconds=WAITING_SECONDS)


def a_complete_job_is_a_video(situation: Situation) -> Decision | None:
    """The pod's termination message is the authority on it."""
    job = _job(situation)
    if not job.is_complete:
        return None
    end = result_of(situation.observed.pods)
    if end:
        return Decision(ended_status(situation.subject, job.plan, end, situation.attempts))
    message = f"the Job {job.name} is complete, but no pod of it is left that tells the result"
    return _failed(situation, Reason.RUNNER_VANISHED, message)


def a_failed_job_is_a_failure(situation: Situation) -> Decision | None:
    """With the reason of its last attempt."""
    job = _job(situation)
    if job.failure is None:
        return None
    reason, message = job.failure
    if reason == "DeadlineExceeded":
        limit = job.active_deadline_seconds
        text = f"activeDeadlineSeconds is {limit}; the video was not finished by then"
        return _failed(situation, Reason.DEADLINE_EXCEEDED, text)
    told = [(each.reason, each.message) for each in situation.attempts if each.reason]
    if not told:
        text = f"the Job failed ({reason}: {message}) and no pod of it is left that tells why"
        return _failed(situation, Reason.RUNNER_VANISHED, text)
    last_reason, last = told[-1]
    text = f"{last} (the last of {len(told)} attempts)" if len(told) > 1 else last
    return _failed(situation, last_reason, text)


def a_job_that_differs_is_brought_into_line(situation: Situation) -> Decision | None:
    """Suspension, deadline and backoff limit may change while the Job is there.

    Once for each generation of the resource: whatever else changes a Job, such as a queue that
    suspends it, is not fought with.
    """
    job, spec, previous = _job(situation), situation.spec, situation.previous
    generation = situation.observed.resource.metadata.generation
    if previous is not None and previous.observed_generation == generation:
        return None
    values = (
        ("suspend", job.suspended, spec.suspend),
        ("activeDeadlineSeconds", job.active_deadline_seconds, spec.active_deadline_seconds),
        ("backoffLimit", job.backoff_limit, spec.backoff_limit),
    )
    wanted = {name: value for name, found, value in values if found != value}
    if not wanted:
        return None
    after = replace(
        job,
        suspended=spec.suspend,
        active_deadline_seconds=spec.active_deadline_seconds,
        backoff_limit=spec.backoff_limit,
    )
    then = decide(replace(situation.observed, job=after), situation.config)
    return replace(then, actions=(PatchJob(job.name, wanted), *then.actions))


def a_suspended_job_does_not_run(situation: Situation) -> Decision | None:
    if not situation.spec.suspend:
        return None
    message = "suspended: nothing runs until 'suspend' is false"
    return Decision(situation.on_the_way(Phase.SUSPENDED, Waiting.SUSPENDED, message))


def a_job_that_something_else_suspended_is_queued(situation: Situation) -> Decision | None:
    if not _job(situation).suspended:
        return None
    message = "the Job is suspended, by a queue or by hand; it runs when that ends"
    return Decision(situation.on_the_way(Phase.QUEUED, Waiting.SUSPENDED, message))


def a_running_pod_makes_the_video(situation: Situation) -> Decision | None:
    pods = situation.observed.pods
    pod = running_pod(pods)
    if pod is None and result_of(pods) is None:
        return None
    message = f"pod {pod.name} runs" if pod else "the video is made; the Job is being completed"
    status = situation.on_the_way(Phase.RUNNING, Waiting.RUNNING, message)
    return Decision(status, again_seconds=PROGRESS_SECONDS)


def a_pod_that_does_not_run_yet_is_queued(situation: Situation) -> Decision | None:
    pod = next((pod for pod in reversed(situation.observed.pods) if pod.waiting), None)
    if pod is None or pod.waiting is None:
        return None
    reason, message = pod.waiting
    status = situation.on_the_way(Phase.QUEUED, reason, f"pod {pod.name} waits: {message}")
    return Decision(status, again_seconds=WAITING_SECONDS)


def a_job_without_a_pod_is_queued(situation: Situation) -> Decision | None:
    """Before its first pod, and between two attempts."""
    return Decision(
        situation.on_the_way(Phase.QUEUED, Waiting.NO_POD, _no_pod(situation)),
        again_seconds=WAITING_SECONDS,
    )


RULES: tuple[Rule, ...] = (
    a_resource_being_deleted_needs_nothing,
    a_finished_request_stays_finished,
    a_changed_request_first_removes_the_earlier_job,
    a_spec_that_does_not_fit_is_refused,
    a_job_of_somebody_else_is_left_alone,
    a_job_that_was_deleted_is_made_again,
    a_suspended_resource_gets_no_job,
    a_request_without_a_job_gets_one,
    a_complete_job_is_a_video,
    a_failed_job_is_a_failure,
    a_job_being_deleted_is_waited_for,
    a_job_that_differs_is_brought_into_line,
    a_suspended_job_does_not_run,
    a_job_that_something_else_suspended_is_queued,
    a_running_pod_makes_the_video,
    a_pod_that_does_not_run_yet_is_queued,
    a_job_without_a_pod_is_queued,
)


def _subject(observed: Observed) -> Subject:
    resource = observed.resource
    return Subject(resource.metadata, resource.request_hash, observed.now, resource.status)


def _created(situation: Situation, attempts: tuple[Attempt, ...]) -> Decision:
    media = situation.spec.init_image or situation.spec.init_video or ""
    if media.startswith("file:"):
        text = f"{media} names a file of a pod; a cluster takes http:// and https:// URLs"
        return _refused(situation, Reason.INIT_MEDIA_REFUSED, text)
    try:
        resolved = resolve(situation.observed.resource.as_contract, situation.config)
    except RequestRefused as refusal:
        return _refused(situation, refusal.reason, refusal.message)
    manifest = build_job(resolved, situation.config)
    plan = read_plan(manifest)
    text = with_notices(f"the Job {manifest['metadata']['name']} was made", plan)
    phase = Phase.SUSPENDED if situation.spec.suspend else Phase.QUEUED
    reason = Waiting.SUSPENDED if situation.spec.suspend else Waiting.NO_POD
    status = situation.waiting(
        phase, reason, text, **planned(plan), attempts=attempts, progress=None, start_time=None
    )
    return Decision(status, (CreateJob(manifest),), again_seconds=WAITING_SECONDS)


def _refused(situation: Situation, reason: Reason, message: str) -> Decision:
    attempts, now = situation.attempts, situation.observed.now
    return Decision(failed_status(situation.subject, None, reason, message, attempts, now))


def _failed(situation: Situation, reason: Reason, message: str) -> Decision:
    job, ends = _job(situation), [end_of(pod) for pod in situation.observed.pods]
    times = [end.completion_time for end in ends if end]
    ended = job.finished or max(times, default=situation.observed.now)
    return Decision(
        failed_status(situation.subject, job.plan, reason, message, situation.attempts, ended)
    )


def _no_pod(situation: Situation) -> str:
    attempts = situation.attempts
    last = attempts[-1] if attempts else None
    if last and last.reason:
        text = f"attempt {len(attempts)} failed ({last.reason}: {last.message}); another follows"
    else:
        text = "the Job controller is making the pod"
    return f"{text}; it says: {situation.observed.trouble}" if situation.observed.trouble else text


def _removals(jobs: tuple[ObservedJob, ...]) -> tuple[Action, ...]:
    return tuple(DeleteJob(job.name, job.uid) for job in jobs if not job.is_being_deleted)


def _job(situation: Situation) -> ObservedJob:
    job = situation.observed.job
    assert job  # the rules before have dealt with a missing one
    return job


def _still(previous: TextToVideoJobStatus, situation: Situation) -> TextToVideoJobStatus | None:
    """The same status for the resource's present generation.

    One that could not be read whole has no conditions; it is left as it stands.
    """
    if not previous.conditions:
        return None
    generation = {"observed_generation": situation.observed.resource.metadata.generation}
    conditions = tuple(each.model_copy(update=generation) for each in previous.conditions)
    return previous.model_copy(update={**generation, "conditions": conditions})


def _cut_off(attempts: tuple[Attempt, ...], message: str, now: datetime) -> tuple[Attempt, ...]:
    """`attempts` after the Job was deleted: the one that ran has ended, or none had begun."""
    end: dict[str, Any] = {"reason": Reason.JOB_DELETED, "message": message, "completion_time": now}
    if attempts and not (attempts[-1].reason or attempts[-1].completion_time):
        return (*attempts[:-1], attempts[-1].model_copy(update=end))
    return (*attempts, Attempt(**end))

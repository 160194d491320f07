"""Compute a resource's status. Pure: values in, a status out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from t2v_api.execution import Execution
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import SUCCEEDED, Reason, Waiting
from t2v_api.resource import (
    KEPT_RETRY_TOKENS,
    Condition,
    ObjectMeta,
    Phase,
    TextToVideoJobStatus,
)
from t2v_api.result import POSTER_FILE, VIDEO_FILE, GenerationFailure

from t2v_operator.core.attempts import History, RunnerEnd
from t2v_operator.core.conditions import conditions
from t2v_operator.core.names import stable_id
from t2v_operator.core.observed import StoredVideo
from t2v_operator.core.plan import Plan

KEPT = (
    "job_name",
    "pool",
    "estimate",
    "resolved",
    "progress",
    "attempts",
    "attempt_count",
    "disruptions",
    "gpu_seconds",
    "cost",
    "key_id",
    "start_time",
    "trace_id",
)
"""What one status of a request hands on to the next."""

STALLED = frozenset(
    {
        Waiting.JOB_NAME_TAKEN,
        Waiting.JOB_NOT_CREATED,
        Waiting.JOB_NOT_CHANGED,
        Waiting.UNKNOWN_FIELD,
        Waiting.QUEUE_NOT_AVAILABLE,
        Waiting.KEY_NOT_AVAILABLE,
    }
)
"""These do not end by themselves: somebody has to look."""


@dataclass(frozen=True)
class Subject:
    """The resource and request that a status is about, and the status before."""

    metadata: ObjectMeta
    request_hash: str
    now: datetime
    before: TextToVideoJobStatus | None = None
    retry_token: str | None = None
    """As the spec has it."""
    is_asked_again: bool = False
    """The status before is about a try that failed; another one begins."""
    is_cancelled: bool = False
    """As the spec says. A token that comes with that asks for nothing before it is taken back."""

    @property
    def previous(self) -> TextToVideoJobStatus | None:
        """The status before, where it is about the same request, and the same try of it."""
        return self.before if self._is_same_request and not self.is_asked_again else None

    @property
    def retry_tokens(self) -> tuple[str, ...] | None:
        """Those that were seen with this request, the present one as well."""
        before = self.before.retry_tokens if self.before else None
        is_new = self.retry_token not in (before or ())
        token = None if self.is_cancelled and is_new else self.retry_token
        return with_token(before if self._is_same_request else None, token)

    @property
    def _is_same_request(self) -> bool:
        return self.before is not None and self.before.request_hash == self.request_hash


def with_token(seen: tuple[str, ...] | None, token: str | None) -> tuple[str, ...] | None:
    """The retry tokens that were seen, with one that is now."""
    if token is None or token in (seen or ()):
        return seen
    return (*(seen or ()), token)[-KEPT_RETRY_TOKENS:]


def status_of(
    subject: Subject, phase: Phase, reason: Reason | Waiting | str, message: str, **fields: Any
) -> TextToVideoJobStatus:
    """The status with this phase and reason; `fields` go over what the request had so far."""
    previous, generation = subject.previous, subject.metadata.generation
    kept = {name: getattr(previous, name) for name in KEPT} if previous else {}
    common = {
        "phase": phase,
        "observed_generation": generation,
        "conditions": _conditions(subject, phase, str(reason), message),
        "id": stable_id(subject.metadata.uid),
        "request_hash": subject.request_hash,
        "retry_tokens": subject.retry_tokens,
        "message": message,
    }
    return TextToVideoJobStatus(**(kept | common | fields))


def reason_of(status: TextToVideoJobStatus | None) -> str:
    """The reason that the conditions give; empty without any."""
    return status.conditions[0].reason if status and status.conditions else ""


def planned(plan: Plan | None, execution: Execution | None = None) -> dict[str, Any]:
    """What a status says of the Job, and in the end of how it drew."""
    if plan is None:
        return {}
    resolved = plan.resolved.model_copy(update={"execution": execution})
    return {
        "job_name": plan.job_name,
        "pool": plan.pool,
        "resolved": resolved,
        "estimate": plan.estimate,
    }


def ended_status(
    subject: Subject, plan: Plan | None, end: RunnerEnd, history: History
) -> TextToVideoJobStatus:
    """The final status after the run that decided it."""
    if isinstance(end.outcome, GenerationFailure):
        failure = end.outcome
        return failed_status(
            subject, plan, failure.reason, failure.message, history, end.completion_time
        )
    result = end.outcome
    urls = _urls(plan, result.output)
    made = f"video made in {result.generation_time:.1f} s"
    message = with_notices(made, plan, result.notices)
    return status_of(
        subject,
        Phase.SUCCEEDED,
        SUCCEEDED,
        message,
        **planned(plan, result.execution),
        output_url=urls[0] if urls else None,
        output=urls,
        generation_time=result.generation_time,
        timings={stage.value: seconds for stage, seconds in result.timings.items()},
        video=result.video,
        progress=_finished(end.completion_time),
        **history.fields,
        start_time=end.start_time,
        completion_time=end.completion_time,
    )


def reused_status(subject: Subject, stored: StoredVideo) -> TextToVideoJobStatus:
    """The final status of a video that was in the store already."""
    record, plan = stored.record, stored.plan
    urls = _urls(plan, record.output)
    message = "the video was in the store already, made for an equal request"
    return status_of(
        subject,
        Phase.SUCCEEDED,
        SUCCEEDED,
        with_notices(message, plan, record.notices),
        **(planned(plan, record.execution) | {"job_name": None}),
        reused=True,
        output_url=urls[0] if urls else None,
        output=urls,
        generation_time=record.generation_time,
        timings={stage.value: seconds for stage, seconds in record.timings.items()},
        video=record.video,
        progress=_finished(subject.now),
        completion_time=subject.now,
    )


def status_without_record(
    subject: Subject, plan: Plan | None, history: History, completion_time: datetime
) -> TextToVideoJobStatus:
    """The final status of a video that is published and whose pod is gone.

    The Job says that the runner's exit code was 0, and what was asked for; no more is known.
    """
    urls = _urls(plan, (VIDEO_FILE, POSTER_FILE))
    message = (
        "video made; its pod was gone before its record was read, so 'video', 'timings' and "
        "'generationTime' are not known"
    )
    return status_of(
        subject,
        Phase.SUCCEEDED,
        SUCCEEDED,
        with_notices(message, plan),
        **planned(plan),
        output_url=urls[0] if urls else None,
        output=urls,
        progress=_finished(completion_time),
        **history.fields,
        completion_time=completion_time,
    )


def failed_status(
    subject: Subject,
    plan: Plan | None,
    reason: Reason,
    message: str,
    history: History,
    completion_time: datetime,
) -> TextToVideoJobStatus:
    """The final status of a request that no video came of."""
    began = subject.previous.start_time if subject.previous else None
    began = began or next((each.start_time for each in history.latest if each.start_time), None)
    return status_of(
        subject,
        Phase.FAILED,
        reason,
        message,
        **planned(plan),
        **history.fields,
        start_time=began,
        completion_time=completion_time,
    )


def _urls(plan: Plan | None, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{plan.output_url.rstrip('/')}/{name}" for name in names) if plan else ()


def _finished(now: datetime) -> Progress:
    return Progress(stage=Stage.UPLOAD, step=0, steps=0, percent=100, updated_time=now)


def with_notices(message: str, plan: Plan | None, of_the_run: tuple[str, ...] = ()) -> str:
    """`message`, and what the user should know about how the request was understood.

    `of_the_run`: what only the runner could know of it.
    """
    planned = plan.notices if plan else ""
    return "; ".join(filter(None, (message, planned, *of_the_run)))


def _conditions(subject: Subject, phase: Phase, reason: str, message: str) -> tuple[Condition, ...]:
    stalled = phase is Phase.FAILED or reason in STALLED
    ended = phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.SUSPENDED)
    holds = {
        "Ready": phase is Phase.SUCCEEDED,
        "Reconciling": not ended and not stalled,
        "Stalled": stalled,
    }
    before = subject.before.conditions if subject.before else ()
    return conditions(holds, reason, message, subject.metadata.generation, subject.now, before)

"""Compute the status of a resource whose video has ended. Pure: values in, a status out."""

from dataclasses import dataclass
from datetime import datetime

from t2v_api.reasons import Reason
from t2v_api.resource import (
    Attempt,
    Condition,
    Phase,
    ResolvedRequest,
    TextToVideoJob,
    TextToVideoJobStatus,
)
from t2v_api.result import GenerationFailure, GenerationResult

from t2v_operator.names import job_name, stable_id
from t2v_operator.request import ResolvedJob


@dataclass(frozen=True)
class RunnerEnd:
    """How the runner's container ended."""

    outcome: GenerationResult | GenerationFailure
    exit_code: int
    start_time: datetime
    completion_time: datetime
    pod_name: str | None = None


def ended_status(
    job: ResolvedJob, end: RunnerEnd, runner_image: str, base_url: str
) -> TextToVideoJobStatus:
    """The final status. `base_url` is what serves the folder that the files stand in."""
    attempt = Attempt(
        pod_name=end.pod_name,
        reason=None,
        exit_code=end.exit_code,
        start_time=end.start_time,
        completion_time=end.completion_time,
    )
    common = TextToVideoJobStatus(
        observed_generation=job.resource.metadata.generation,
        id=stable_id(job.resource.metadata.uid),
        job_name=job_name(job.resource),
        pool=job.pool.name,
        resolved=_resolved(job, runner_image),
        start_time=end.start_time,
        completion_time=end.completion_time,
    )
    if isinstance(end.outcome, GenerationFailure):
        return _failed(common, end.outcome, attempt)
    return _succeeded(common, end.outcome, attempt, base_url)


def refused_status(
    resource: TextToVideoJob, reason: Reason, message: str, now: datetime
) -> TextToVideoJobStatus:
    """The status of a resource that no video can be made of."""
    generation = resource.metadata.generation
    return TextToVideoJobStatus(
        phase=Phase.FAILED,
        observed_generation=generation,
        id=stable_id(resource.metadata.uid),
        conditions=_conditions(Phase.FAILED, reason, message, now, generation),
        completion_time=now,
        message=message,
    )


def _succeeded(
    common: TextToVideoJobStatus, result: GenerationResult, attempt: Attempt, base_url: str
) -> TextToVideoJobStatus:
    urls = tuple(f"{base_url.rstrip('/')}/{name}" for name in result.output)
    message = f"video made in {result.generation_time:.1f} s"
    return common.model_copy(
        update={
            "phase": Phase.SUCCEEDED,
            "conditions": _conditions(
                Phase.SUCCEEDED,
                "Succeeded",
                message,
                _completed(common),
                common.observed_generation,
            ),
            "output_url": urls[0],
            "output": urls,
            "generation_time": result.generation_time,
            "timings": {stage.value: seconds for stage, seconds in result.timings.items()},
            "video": result.video,
            "attempts": (attempt,),
            "message": message,
        }
    )


def _failed(
    common: TextToVideoJobStatus, failure: GenerationFailure, attempt: Attempt
) -> TextToVideoJobStatus:
    return common.model_copy(
        update={
            "phase": Phase.FAILED,
            "conditions": _conditions(
                Phase.FAILED,
                failure.reason,
                failure.message,
                _completed(common),
                common.observed_generation,
            ),
            "attempts": (
                attempt.model_copy(update={"reason": failure.reason, "message": failure.message}),
            ),
            "message": failure.message,
        }
    )


def _resolved(job: ResolvedJob, runner_image: str) -> ResolvedRequest:
    return ResolvedRequest(
        **dict(job.request), model_revision=job.profile.revision, runner_image=runner_image
    )


def _completed(status: TextToVideoJobStatus) -> datetime:
    assert status.completion_time is not None  # set by ended_status
    return status.completion_time


def _conditions(
    phase: Phase, reason: str, message: str, now: datetime, generation: int | None
) -> tuple[Condition, ...]:
    """What kstatus reads: a finished resource is Ready, a failed one Stalled."""
    ready = phase is Phase.SUCCEEDED

    def condition(kind: str, holds: bool) -> Condition:
        return Condition(
            type=kind,
            status="True" if holds else "False",
            reason=reason,
            message=message,
            last_transition_time=now,
            observed_generation=generation,
        )

    return (
        condition("Ready", ready),
        condition("Reconciling", False),
        condition("Stalled", phase is Phase.FAILED),
    )

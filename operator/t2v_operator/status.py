"""Compute the status of a resource whose video has ended. Pure: values in, a status out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

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

Fields = dict[str, Any]


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
    common: Fields = {
        "job_name": job_name(job.resource),
        "pool": job.pool.name,
        "resolved": _resolved(job, runner_image),
        "start_time": end.start_time,
    }
    if isinstance(end.outcome, GenerationFailure):
        special = _failed(job.resource, end, end.outcome)
    else:
        special = _succeeded(job.resource, end, end.outcome, base_url)
    return TextToVideoJobStatus(**common, **special)


def refused_status(
    resource: TextToVideoJob, reason: Reason, message: str, now: datetime
) -> TextToVideoJobStatus:
    """The status of a resource that no video can be made of."""
    return TextToVideoJobStatus(**_final(resource, Phase.FAILED, reason, message, now))


def _succeeded(
    resource: TextToVideoJob, end: RunnerEnd, result: GenerationResult, base_url: str
) -> Fields:
    urls = tuple(f"{base_url.rstrip('/')}/{name}" for name in result.output)
    message = f"video made in {result.generation_time:.1f} s"
    return {
        **_final(resource, Phase.SUCCEEDED, "Succeeded", message, end.completion_time),
        "output_url": urls[0],
        "output": urls,
        "generation_time": result.generation_time,
        "timings": {stage.value: seconds for stage, seconds in result.timings.items()},
        "video": result.video,
        "attempts": (_attempt(end, None, ""),),
    }


def _failed(resource: TextToVideoJob, end: RunnerEnd, failure: GenerationFailure) -> Fields:
    reason, message = failure.reason, failure.message
    return {
        **_final(resource, Phase.FAILED, reason, message, end.completion_time),
        "attempts": (_attempt(end, reason, message),),
    }


def _final(
    resource: TextToVideoJob, phase: Phase, reason: str, message: str, now: datetime
) -> Fields:
    """What every end has: how, why, when, and for which generation of the resource."""
    generation = resource.metadata.generation
    return {
        "phase": phase,
        "observed_generation": generation,
        "id": stable_id(resource.metadata.uid),
        "conditions": _conditions(phase, reason, message, now, generation),
        "completion_time": now,
        "message": message,
    }


def _attempt(end: RunnerEnd, reason: Reason | None, message: str) -> Attempt:
    return Attempt(
        pod_name=end.pod_name,
        reason=reason,
        message=message,
        exit_code=end.exit_code,
        start_time=end.start_time,
        completion_time=end.completion_time,
    )


def _resolved(job: ResolvedJob, runner_image: str) -> ResolvedRequest:
    return ResolvedRequest(
        **dict(job.request), model_revision=job.profile.revision, runner_image=runner_image
    )


def _conditions(
    phase: Phase, reason: str, message: str, now: datetime, generation: int
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

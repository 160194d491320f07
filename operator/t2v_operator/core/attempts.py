"""What the runs of the runner came to: from pods, or from a local process, to records. Pure."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from t2v_api.base import ContractError
from t2v_api.progress import Stage
from t2v_api.reasons import Reason
from t2v_api.resource import Attempt
from t2v_api.result import (
    MESSAGE_CHARACTERS,
    GenerationFailure,
    GenerationResult,
    read_outcome,
)

from t2v_operator.core.observed import ContainerEnd, ObservedPod


@dataclass(frozen=True)
class RunnerEnd:
    """How one run of the runner ended."""

    outcome: GenerationResult | GenerationFailure
    exit_code: int | None
    """None where the container never ended by itself."""
    start_time: datetime
    completion_time: datetime
    pod_name: str | None = None

    @property
    def attempt(self) -> Attempt:
        """The run as the status lists it."""
        failure = self.outcome if isinstance(self.outcome, GenerationFailure) else None
        return Attempt(
            pod_name=self.pod_name,
            reason=failure.reason if failure else None,
            message=failure.message if failure else "",
            exit_code=self.exit_code,
            start_time=self.start_time,
            completion_time=self.completion_time,
        )


def outcome_of(termination_message: str, exit_code: int) -> GenerationResult | GenerationFailure:
    """The runner's record; where it left none, a failure that says so."""
    try:
        return read_outcome(termination_message)
    except ContractError:
        return _failure(
            Reason.RUNNER_VANISHED,
            f"the runner left no result; its exit code is {exit_code}{_hint(exit_code)}",
        )


def end_of(pod: ObservedPod) -> RunnerEnd | None:
    """How the pod's run ended; None while it goes on."""
    if not pod.is_over:
        return None
    end = pod.end
    finished = (end.finished if end else None) or pod.created
    return RunnerEnd(
        outcome=_outcome(pod, end),
        exit_code=end.exit_code if end else None,
        start_time=pod.started or pod.created,
        completion_time=finished,
        pod_name=pod.name,
    )


def result_of(pods: Sequence[ObservedPod]) -> RunnerEnd | None:
    """The run that made the video, if one did."""
    ends = (end_of(pod) for pod in pods)
    return next((e for e in ends if e and isinstance(e.outcome, GenerationResult)), None)


def attempts_of(pods: Sequence[ObservedPod], earlier: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """The runs so far: those of `pods` as they are now, `earlier` ones whose pods are gone."""
    seen = {pod.name for pod in pods}
    gone = [_given_up(attempt) for attempt in earlier if attempt.pod_name not in seen]
    return (*gone, *(_attempt(pod) for pod in pods if pod.started or pod.is_over))


def _attempt(pod: ObservedPod) -> Attempt:
    end = end_of(pod)
    return end.attempt if end else Attempt(pod_name=pod.name, start_time=pod.started)


def _given_up(attempt: Attempt) -> Attempt:
    """A run that was seen going on and whose pod is gone ended without a word."""
    if attempt.completion_time or attempt.reason:
        return attempt
    message = "its pod is gone and left no result"
    return attempt.model_copy(update={"reason": Reason.RUNNER_VANISHED, "message": message})


def _outcome(pod: ObservedPod, end: ContainerEnd | None) -> GenerationResult | GenerationFailure:
    if end is None:
        reason = Reason.DISRUPTED if pod.loss else Reason.RUNNER_VANISHED
        return _failure(reason, pod.loss or "the pod ended before its container began")
    outcome = outcome_of(end.message, end.exit_code)
    if isinstance(outcome, GenerationResult) or end.exit_code == 0:
        return outcome
    if end.reason == "OOMKilled":
        return _failure(
            Reason.OUT_OF_MEMORY,
            "the container reached its memory limit and was killed: fewer frames or a smaller size "
            "need less; the limit stands in the model's profile (resources.memory)",
        )
    return _failure(Reason.DISRUPTED, pod.loss) if pod.loss else outcome


def _failure(reason: Reason, message: str) -> GenerationFailure:
    return GenerationFailure(reason=reason, message=message[:MESSAGE_CHARACTERS], stage=Stage.START)


def _hint(exit_code: int) -> str:
    killed = exit_code == 128 + signal.SIGKILL
    return ": it was killed, most often because the machine's memory ran out" if killed else ""

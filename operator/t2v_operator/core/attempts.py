"""What the runs of the runner came to: from pods, or from a local process, to records. Pure."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from t2v_api.base import ContractError
from t2v_api.progress import Stage
from t2v_api.reasons import ExitCode, Reason
from t2v_api.resource import Attempt, TextToVideoJobStatus
from t2v_api.result import (
    MESSAGE_CHARACTERS,
    GenerationFailure,
    GenerationResult,
    read_outcome,
)

from t2v_operator.core.observed import ContainerEnd, ObservedPod

UNSEEN = "it ended while nobody looked, and the runner was started again"
GONE = "its pod is gone and left no result"
NEVER_BEGAN = "the pod ended before its container began"

DISRUPTIONS = (Reason.DISRUPTED, Reason.PREEMPTED, Reason.NODE_LOST)
"""How a run ends that was taken away: it is no fault of its own, and counts as no failure."""

KEPT_ATTEMPTS = 10
"""So many stand on a status; the others are only counted. etcd refuses what grows for ever."""


@dataclass(frozen=True)
class History:
    """The runs of one request so far."""

    latest: tuple[Attempt, ...] = ()
    """At most `KEPT_ATTEMPTS`, the oldest first."""
    count: int = 0
    """All of them."""
    disruptions: int = 0
    """Those that were evicted, preempted or lost with their node."""

    @property
    def fields(self) -> dict[str, object]:
        """What a status says of it."""
        return {
            "attempts": self.latest,
            "attempt_count": self.count,
            "disruptions": self.disruptions,
        }


def history_on(status: TextToVideoJobStatus | None) -> History:
    """What a status says of the runs. One of an older version has no counts."""
    if status is None:
        return History()
    attempts = status.attempts
    counted = max(status.attempt_count, len(attempts))
    return History(attempts, counted, max(status.disruptions, _disrupted(attempts)))


def history_of(pods: Sequence[ObservedPod], before: History) -> History:
    """The runs so far: those in `pods` as they are now, and `before`'s that are seen no more."""
    dropped = before.count - len(before.latest)
    known = {_run(attempt) for attempt in before.latest}
    oldest = before.latest[0].start_time if before.latest else None
    seen = [attempt for pod in pods for attempt in _attempts(pod, before)]
    if dropped and oldest:
        # What is older than the oldest that is kept was counted when it was dropped.
        seen = [each for each in seen if _run(each) in known or _beginning(each) >= oldest]
    runs, there = {_run(attempt) for attempt in seen}, {pod.name for pod in pods}
    gone = [
        _given_up(attempt, attempt.pod_name in there)
        for attempt in before.latest
        if _run(attempt) not in runs
    ]
    dropped_disruptions = before.disruptions - _disrupted(before.latest)
    attempts = sorted((*gone, *seen), key=_beginning)
    return _history(tuple(attempts), dropped, dropped_disruptions)


def with_attempt(history: History, attempt: Attempt, in_place_of_last: bool) -> History:
    """The history after one more run, or after the last one's end."""
    kept = history.latest[:-1] if in_place_of_last else history.latest
    return _history(
        (*kept, attempt),
        history.count - len(history.latest),
        history.disruptions - _disrupted(history.latest),
    )


def closed(history: History, reason: Reason, message: str, now: datetime) -> History:
    """The history once the run that goes on, if one does, is brought to its end."""
    end = {"reason": reason, "message": message, "completion_time": now}
    latest = tuple(
        each.model_copy(update=end)
        if each.start_time and not (each.completion_time or each.reason)
        else each
        for each in history.latest
    )
    return replace(history, latest=latest)


def failed_attempt(history: History) -> str:
    """What the last run, which failed, has to say."""
    last = history.latest[-1]
    return f"attempt {history.count} failed ({last.reason}: {last.message})"


def _history(attempts: tuple[Attempt, ...], dropped: int, dropped_disruptions: int) -> History:
    return History(
        latest=attempts[-KEPT_ATTEMPTS:],
        count=dropped + len(attempts),
        disruptions=dropped_disruptions + _disrupted(attempts),
    )


def _run(attempt: Attempt) -> tuple[str | None, datetime | None]:
    """Tells runs apart: several may be in one pod, one after the other."""
    return attempt.pod_name, attempt.start_time


def _beginning(attempt: Attempt) -> datetime:
    """When it began, or was over; one that says neither has only just begun."""
    return attempt.start_time or attempt.completion_time or datetime.max.replace(tzinfo=UTC)


def _disrupted(attempts: Sequence[Attempt]) -> int:
    return sum(each.reason in DISRUPTIONS for each in attempts)


@dataclass(frozen=True)
class RunnerEnd:
    """How one run of the runner ended."""

    outcome: GenerationResult | GenerationFailure
    exit_code: int | None
    """None where the container never ended by itself."""
    start_time: datetime
    completion_time: datetime
    pod_name: str | None = None
    pool: str | None = None
    node_name: str | None = None

    @property
    def attempt(self) -> Attempt:
        """The run as the status lists it."""
        failure = self.outcome if isinstance(self.outcome, GenerationFailure) else None
        return Attempt(
            pod_name=self.pod_name,
            pool=self.pool,
            node_name=self.node_name,
            reason=failure.reason if failure else None,
            message=failure.message if failure else "",
            exit_code=self.exit_code,
            resumed_step=self.outcome.resumed_step,
            start_time=self.start_time,
            completion_time=self.completion_time,
        )


def outcome_of(termination_message: str, exit_code: int) -> GenerationResult | GenerationFailure:
    """The runner's record; where it left none, a failure that says so."""
    try:
        return read_outcome(termination_message)
    except ContractError:
        return _failure(
            # This one means one thing, and no other attempt in the same pool follows it.
            Reason.OUT_OF_MEMORY if exit_code == ExitCode.OUT_OF_MEMORY else Reason.RUNNER_VANISHED,
            f"the runner left no result; its exit code is {exit_code}{_hint(exit_code)}",
        )


def end_of(pod: ObservedPod) -> RunnerEnd | None:
    """How the pod's last run ended; None while it goes on."""
    return _end(pod, pod.end) if pod.is_over else None


def _end(pod: ObservedPod, end: ContainerEnd | None) -> RunnerEnd:
    # A pod that was taken away between two runs ended after the first of them.
    since = (pod.earlier_end.finished if pod.earlier_end else None) or pod.created
    gone = _taken_away(pod, pod.started) if pod.started else None
    return RunnerEnd(
        outcome=_outcome(pod, end),
        exit_code=end.exit_code if end else None,
        start_time=(end.started if end else pod.started) or since,
        completion_time=(end.finished if end else gone) or since,
        pod_name=pod.name,
        pool=pod.pool or None,
        node_name=pod.node or None,
    )


def result_of(pods: Sequence[ObservedPod]) -> RunnerEnd | None:
    """The run that made the video, if one did."""
    ends = (end_of(pod) for pod in pods)
    return next((e for e in ends if e and isinstance(e.outcome, GenerationResult)), None)


def handed_in(record: str) -> GenerationResult | GenerationFailure | None:
    """The record that a runner handed in while it had a network."""
    try:
        return read_outcome(record) if record else None
    except ContractError:
        return None


def made_it(pods: Sequence[ObservedPod]) -> bool:
    """Whether a run ended with exit code 0: the video is published, whatever is left to tell it."""
    return any(pod.end is not None and pod.end.exit_code == 0 for pod in pods)


def _attempts(pod: ObservedPod, before: History) -> Iterator[Attempt]:
    """The last two runs in the pod: the kubelet tells of no more."""
    if pod.earlier_end:
        # Whatever took the pod away came later.
        yield _end(replace(pod, loss=""), pod.earlier_end).attempt
    end = end_of(pod)
    if end is None:
        if pod.started:
            yield Attempt(
                pod_name=pod.name,
                pool=pod.pool or None,
                node_name=pod.node or None,
                start_time=pod.started,
            )
        return
    going_on = [a for a in before.latest if a.pod_name == pod.name and not a.completion_time]
    if going_on and pod.end is None:
        # What is left of an evicted pod may not even say when its container began.
        began = going_on[-1].start_time or end.start_time
        end = replace(end, start_time=began, completion_time=_taken_away(pod, began))
    yield end.attempt


def _taken_away(pod: ObservedPod, began: datetime) -> datetime:
    """When a run ended that told no end, as far as its pod shows it."""
    return max(began, pod.not_ready_since or pod.lost_at or pod.gone_by or began)


def _given_up(attempt: Attempt, pod_is_there: bool) -> Attempt:
    """A run that was seen going on, and whose end was not, ended without a word."""
    if attempt.completion_time or attempt.reason:
        return attempt
    why = UNSEEN if pod_is_there else GONE
    return attempt.model_copy(update={"reason": Reason.RUNNER_VANISHED, "message": why})


def _outcome(pod: ObservedPod, end: ContainerEnd | None) -> GenerationResult | GenerationFailure:
    if end is None:
        if not pod.loss:
            return _failure(Reason.RUNNER_VANISHED, GONE if pod.started else NEVER_BEGAN)
        return _failure(_loss_reason(pod), pod.loss)
    outcome = outcome_of(end.message, end.exit_code)
    if isinstance(outcome, GenerationResult) or end.exit_code == 0:
        return outcome
    if end.reason == "OOMKilled":
        return _failure(
            Reason.OUT_OF_MEMORY,
            "the container reached its memory limit and was killed: fewer frames or a smaller size "
            "need less; the limit stands in the model's profile (resources.memory)",
        )
    if not pod.loss:
        return outcome
    lost = _failure(_loss_reason(pod), pod.loss)
    return lost.model_copy(update={"resumed_step": outcome.resumed_step})


def _loss_reason(pod: ObservedPod) -> Reason:
    if pod.was_preempted:
        return Reason.PREEMPTED
    return Reason.NODE_LOST if pod.node_was_lost else Reason.DISRUPTED


def _failure(reason: Reason, message: str) -> GenerationFailure:
    return GenerationFailure(reason=reason, message=message[:MESSAGE_CHARACTERS], stage=Stage.START)


def _hint(exit_code: int) -> str:
    killed = exit_code == 128 + signal.SIGKILL
    return ": it was killed, most often because the machine's memory ran out" if killed else ""

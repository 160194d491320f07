"""What every rule looks at, and the statuses that several of them write. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from t2v_api.api_key import ApiKey
from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase, TextToVideoJobSpec, TextToVideoJobStatus

from t2v_operator.config import OperatorConfig
from t2v_operator.core.attempts import History, history_of, history_on
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.decision import Action, Decision, DeleteJob, ReplacePod
from t2v_operator.core.observed import Observed, ObservedJob, ObservedPod, running_pod
from t2v_operator.core.status import Subject, failed_status, planned, status_of, with_notices

TOO_LATE = "DeadlineExceeded"
"""In the words of a Job whose activeDeadlineSeconds are over."""
UNDER_WAY = (Phase.QUEUED, Phase.RUNNING)


@dataclass(frozen=True)
class Situation:
    """One resource as it is seen, and the configuration."""

    observed: Observed
    config: OperatorConfig

    @cached_property
    def subject(self) -> Subject:
        resource = self.observed.resource
        return Subject(
            resource.metadata,
            resource.request_hash,
            self.observed.now,
            resource.status,
            retry_token=resource.spec.retry_token if resource.spec else None,
            is_asked_again=resource.is_asked_again,
            is_cancelled=bool(resource.spec and resource.spec.cancel),
        )

    @property
    def previous(self) -> TextToVideoJobStatus | None:
        """The status before, where it is about the present request and its present try."""
        return self.subject.previous

    @property
    def spec(self) -> TextToVideoJobSpec:
        spec = self.observed.resource.spec
        assert spec  # the rule before those that ask has dealt with specs that do not fit
        return spec

    @property
    def job(self) -> ObservedJob:
        job = self.observed.job
        assert job  # the rules before those that ask have dealt with a missing one
        return job

    @property
    def key(self) -> ApiKey | None:
        """The API key that the resource has."""
        found = self.observed.key
        return found if isinstance(found, ApiKey) else None

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.config, self.observed.models)

    @cached_property
    def history(self) -> History:
        """The runs so far."""
        return history_of(self.observed.pods, history_on(self.previous))

    def seconds_since(self, time: datetime) -> float:
        return (self.observed.now - time).total_seconds()

    def waiting(
        self, phase: Phase, reason: Waiting, message: str, **fields: Any
    ) -> TextToVideoJobStatus:
        """A status of a video that is still to come."""
        return status_of(self.subject, phase, reason, message, **fields)

    def on_the_way(
        self, phase: Phase, reason: Waiting, message: str, **more: Any
    ) -> TextToVideoJobStatus:
        """A status that also tells what the Job makes and what its pods did so far."""
        history, plan = self.history, self.observed.job.plan if self.observed.job else None
        fields = planned(plan) | history.fields | more
        if self.observed.progress or not self._goes_on:
            fields["progress"] = self.observed.progress
        if self.previous is None or self.previous.start_time is None:
            fields["start_time"] = next(
                (each.start_time for each in history.latest if each.start_time), None
            )
        return self.waiting(phase, reason, with_notices(message, plan), **fields)

    @property
    def _goes_on(self) -> bool:
        """Whether the pod that runs is the one that the status was about."""
        pod, before = running_pod(self.observed.pods), history_on(self.previous).latest
        return pod is not None and bool(before) and before[-1].pod_name == pod.name

    def refused(self, reason: Reason, message: str) -> Decision:
        """The request cannot be made; no GPU was touched."""
        return Decision(
            failed_status(self.subject, None, reason, message, self.history, self.observed.now)
        )

    def failed(self, reason: Reason, message: str) -> Decision:
        """The Job made no video. Confirmed: a pod that the cache has not seen may say otherwise.

        A Job that still goes is removed once that is said, not before: a crash in between would
        make it again.
        """
        ended = self.job.finished or self.observed.now
        status = failed_status(self.subject, self.job.plan, reason, message, self.history, ended)
        again = None if self.job.is_finished else 0.0
        return Decision(status, again_seconds=again, rests_on_absence=True)


def removals(jobs: Sequence[ObservedJob]) -> tuple[Action, ...]:
    """Delete what is not being deleted already."""
    return tuple(DeleteJob(job.name, job.uid) for job in jobs if not job.is_being_deleted)


def given_up(
    pods: Sequence[ObservedPod], now: datetime, after_seconds: float
) -> tuple[str, float] | None:
    """What is to be said of the last pod whose node does not answer, and when to look again, in
    seconds. None where all answer."""
    lost = [(pod, since) for pod in pods if (since := pod.lost_since(now))]
    if not lost:
        return None
    pod, since = lost[-1]
    message = (
        f"node {pod.node} has not answered since {since:%H:%M:%S}Z; pod {pod.name} is given up "
        f"and replaced after {after_seconds} s"
    )
    return message, max(1.0, after_seconds - (now - since).total_seconds())


def replacements(
    pods: Sequence[ObservedPod], now: datetime, after_seconds: float
) -> tuple[Action, ...]:
    """Give up the pods whose node has not answered for that long."""
    lost = ((pod, pod.lost_since(now)) for pod in pods)
    return tuple(
        ReplacePod(pod.name, pod.uid)
        for pod, since in lost
        if since and (now - since).total_seconds() >= after_seconds
    )

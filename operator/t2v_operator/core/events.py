"""The Kubernetes Events that tell a person what happened to a resource. Pure.

`kubectl describe` shows them. They are for people: nothing of the product reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase, TextToVideoJobStatus

from t2v_operator.core.decision import (
    Action,
    CreateJob,
    DeleteJob,
    PatchJob,
    PatchWorkload,
    ReplacePod,
)
from t2v_operator.core.status import STALLED, reason_of

MESSAGE_CHARACTERS = 1024
"""Kubernetes takes no longer ones."""


SAID_ALREADY = (Waiting.NO_POD, Waiting.RUNNING)
"""By the Event of the Job's creation or of the failed attempt, and by the pod's own."""


@dataclass(frozen=True)
class Notice:
    """One Event."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str


def notices(
    before: TextToVideoJobStatus | None,
    after: TextToVideoJobStatus | None,
    actions: Sequence[Action],
) -> list[Notice]:
    """What was done, then what became of it, if that is news."""
    done = [_done(action) for action in actions]
    if after is None or _told(after) in (_told(before), ()):
        return done
    phase, reason = _told(after)
    if reason in SAID_ALREADY:
        return done
    failed = phase == Phase.FAILED and reason != Reason.CANCELLED
    worrying = failed or reason in STALLED
    return [*done, _notice("Warning" if worrying else "Normal", reason, after.message)]


def _told(status: TextToVideoJobStatus | None) -> tuple[str, ...]:
    return (status.phase, reason_of(status)) if status and status.conditions else ()


def _done(action: Action) -> Notice:
    match action:
        case CreateJob(manifest):
            return _notice("Normal", "JobCreated", f"made the Job {manifest['metadata']['name']}")
        case PatchJob(name, patch):
            values = patch.get("spec", {}) | patch["metadata"].get("labels", {})
            changed = ", ".join(f"{field}={value}" for field, value in values.items())
            text = f"changed the Job {name}: {changed or 'its note of the resource'}"
            return _notice("Normal", "JobChanged", text)
        case PatchWorkload(name, is_active):
            verb = "let go" if is_active else "held"
            return _notice("Normal", "QueueChanged", f"{verb} the Workload {name} of the queue")
        case ReplacePod(name):
            return _notice("Warning", "PodGivenUp", f"gave up pod {name}: its node is lost")
        case DeleteJob(name):
            return _notice("Normal", "JobRemoved", f"removed the Job {name}")


def _notice(kind: Literal["Normal", "Warning"], reason: str, message: str) -> Notice:
    return Notice(kind, reason, message[:MESSAGE_CHARACTERS])

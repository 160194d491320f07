"""A video's trace, told by its status when it has ended. Pure; knows nothing of OpenTelemetry.

Nothing is kept while a video is made: what a span says stands on the status, and its ids follow
from the resource and its request. Whoever tells it twice tells the same.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from t2v_api.progress import Stage
from t2v_api.resource import Attempt, ObjectMeta, Phase, TextToVideoJobStatus

Value = str | int | float
ROOT = "video"


@dataclass(frozen=True)
class Span:
    """One stretch of a video's way."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    """None: it is the root."""
    begin: datetime
    end: datetime
    attributes: Mapping[str, Value] = field(default_factory=dict)
    error: str | None = None
    """Why it failed: a reason, never a text. None where it did not."""


def trace_id(uid: str, request_hash: str) -> str:
    """32 hex digits, the same for all that is done for this request of this resource."""
    return _digest(uid, request_hash)[:32]


def spans_of_video(
    metadata: ObjectMeta, status: TextToVideoJobStatus, waited_since: datetime | None, reason: str
) -> list[Span]:
    """The root and what is below it, the parents first; none before the end.

    `waited_since`: when the request began to wait. `reason`: the conditions'.
    """
    if status.completion_time is None or not status.request_hash:
        return []
    return list(_Trace(metadata, status).of_video(waited_since, reason))


def spans_of_webhook(metadata: ObjectMeta, status: TextToVideoJobStatus) -> list[Span]:
    """The delivery of the webhook, below the same root; none before it is taken or given up."""
    told = status.webhook
    if told is None or status.completion_time is None or not status.request_hash:
        return []
    ended = told.delivered_time or told.given_up_time
    if ended is None or told.first_attempt_time is None:
        return []
    attributes: dict[str, Value] = {"textto.video.attempts": told.attempts}
    if told.last_status_code is not None:
        attributes["http.response.status_code"] = told.last_status_code
    trace = _Trace(metadata, status)
    error = None if told.delivered_time else "GivenUp"
    return [trace.span("webhook", ROOT, told.first_attempt_time, ended, attributes, error)]


class _Trace:
    """What all spans of one end of a request share."""

    def __init__(self, metadata: ObjectMeta, status: TextToVideoJobStatus) -> None:
        assert status.request_hash
        assert status.completion_time
        self._metadata = metadata
        self._status = status
        self._id = trace_id(metadata.uid, status.request_hash)
        self._completed = status.completion_time

    def of_video(self, waited_since: datetime | None, reason: str) -> Iterator[Span]:
        status, runs = self._status, [each for each in self._status.attempts if each.start_time]
        began = runs[0].start_time if runs else None
        begin = min(filter(None, (waited_since, began, status.start_time, self._completed)))
        failed = status.phase is Phase.FAILED
        yield self.span(
            ROOT, None, begin, self._completed, self._of_request(reason), reason if failed else None
        )
        if not status.reused:
            yield self.span("queued", ROOT, begin, began or self._completed)
        for number, run in enumerate(runs, start=1):
            yield from self._of_run(number, run)

    def span(
        self,
        key: str,
        parent: str | None,
        begin: datetime,
        end: datetime,
        attributes: Mapping[str, Value] | None = None,
        error: str | None = None,
    ) -> Span:
        """`key` is its name, behind it what tells it from others of that name."""
        return Span(
            name=key.partition("/")[0],
            trace_id=self._id,
            span_id=self._span_id(key),
            parent_id=self._span_id(parent) if parent else None,
            begin=begin,
            end=max(begin, end),
            attributes=attributes or {},
            error=error,
        )

    def _span_id(self, key: str) -> str:
        # The same request may be made again; its end tells the two apart.
        return _digest(self._id, self._completed.isoformat(), key)[:16]

    def _of_request(self, reason: str) -> dict[str, Value]:
        """Never a prompt or a URL."""
        metadata, status = self._metadata, self._status
        told: dict[str, Value | None] = {
            "k8s.namespace.name": metadata.namespace,
            "k8s.job.name": status.job_name,
            "textto.video.name": metadata.name,
            "textto.video.uid": metadata.uid,
            "textto.video.phase": status.phase.value,
            "textto.video.reason": reason,
            "textto.video.pool": status.pool,
        }
        if resolved := status.resolved:
            told |= {
                "textto.video.model": resolved.model_id,
                "textto.video.model.revision": resolved.model_revision,
                "textto.video.width": resolved.width,
                "textto.video.height": resolved.height,
                "textto.video.frames": resolved.num_frames,
                "textto.video.steps": resolved.num_inference_steps,
            }
        return {name: value for name, value in told.items() if value is not None}

    def _of_run(self, number: int, run: Attempt) -> Iterator[Span]:
        assert run.start_time
        key, end = f"run/{number}", run.completion_time or self._completed
        told = {
            "k8s.pod.name": run.pod_name,
            "textto.video.pool": run.pool,
            "textto.video.exit_code": run.exit_code,
        }
        attributes = {name: value for name, value in told.items() if value is not None}
        yield self.span(key, ROOT, run.start_time, end, attributes, run.reason)
        if run.reason is None and run is self._status.attempts[-1]:
            yield from self._of_stages(key, run.start_time)

    def _of_stages(self, parent: str, begin: datetime) -> Iterator[Span]:
        """One after the other, as long as the runner measured each."""
        timings = self._status.timings or {}
        for stage in Stage:
            if (seconds := timings.get(stage.value)) is not None:
                end = begin + timedelta(seconds=seconds)
                yield self.span(f"{stage.value}/{parent}", parent, begin, end)
                begin = end


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

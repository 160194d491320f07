"""Hand traces to OpenTelemetry, where an OTLP endpoint is configured.

The SDK is set up by its own environment variables (OTEL_EXPORTER_OTLP_ENDPOINT and its siblings,
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER) and imported only then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from t2v_operator.config import ConfigurationError
from t2v_operator.core.trace import ROOT, Span

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SERVICE = "text-to-video-operator"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether there is an endpoint, and nothing that switches traces off."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    return any(environment.get(name) for name in ENDPOINTS)


def open_tracing(environment: Mapping[str, str]) -> Tracing | None:
    """None where no traces are wanted. Raises ConfigurationError."""
    if not is_wanted(environment):
        return None
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), None)
    if protocol not in (None, "http/protobuf"):
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}; traces are sent by http/protobuf alone, "
            "to port 4318 of most collectors"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigurationError(
            "an OTLP endpoint is configured, and OpenTelemetry is not installed: "
            "pip install 'text-to-video-operator[tracing]'"
        ) from None
    return Tracing(BatchSpanProcessor(OTLPSpanExporter()))


class Tracing:
    """Sends spans that have ended, with the ids that they have already."""

    def __init__(self, processor: SpanProcessor) -> None:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import IdGenerator

        class Given(IdGenerator):
            """The ids of the span that is next."""

            trace_id = span_id = 0

            def generate_trace_id(self) -> int:
                return self.trace_id

            def generate_span_id(self) -> int:
                return self.span_id

        self._ids = Given()
        named = Resource({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(
            id_generator=self._ids, resource=named, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SERVICE)

    def send(self, spans: Iterable[Span]) -> None:
        """Soon, in a thread of the SDK; what does not fit into its queue is dropped."""
        for span in spans:
            self._send(span)

    def close(self) -> None:
        """Send what waits. Blocks, for as long as the SDK's own limits say."""
        self._provider.shutdown()

    def _send(self, span: Span) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._ids.trace_id, self._ids.span_id = int(span.trace_id, 16), int(span.span_id, 16)
        told = self._tracer.start_span(
            span.name,
            context=self._context(span),
            attributes=dict(span.attributes),
            start_time=_nanoseconds(span.begin),
        )
        if span.error is not None:
            told.set_status(Status(StatusCode.ERROR, span.error))
        told.end(_nanoseconds(span.end))

    def _context(self, span: Span) -> Context:
        """The parent's, which may have been sent long ago, so its sampling is decided once more."""
        from opentelemetry.context import Context as NoContext
        from opentelemetry.sdk.trace.sampling import Decision
        from opentelemetry.trace import (
            NonRecordingSpan,
            SpanContext,
            TraceFlags,
            set_span_in_context,
        )

        if span.parent_id is None:
            return NoContext()
        trace_id = int(span.trace_id, 16)
        decision = self._provider.sampler.should_sample(None, trace_id, ROOT).decision
        is_kept = decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags.SAMPLED if is_kept else TraceFlags.DEFAULT
        parent = SpanContext(
            trace_id, int(span.parent_id, 16), is_remote=False, trace_flags=TraceFlags(flags)
        )
        return set_span_in_context(NonRecordingSpan(parent), NoContext())


def _nanoseconds(time: datetime) -> int:
    """Exact: a float of nanoseconds is not."""
    return (time - EPOCH) // timedelta(microseconds=1) * 1000

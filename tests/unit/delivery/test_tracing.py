"""Traces as an OpenTelemetry exporter gets them, and when there are none."""

import gzip
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from t2v_api.resource import WebhookStatus
from t2v_operator.config import ConfigurationError
from t2v_operator.core.trace import spans_of_video, spans_of_webhook
from t2v_operator.delivery.tracing import Tracing, is_wanted, open_tracing

from tests.unit.observations import a_resource_seen, at, succeeded

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def exported(*traces: Any) -> dict[str, ReadableSpan]:
    exporter = InMemorySpanExporter()
    tracing = Tracing(SimpleSpanProcessor(exporter))
    for each in traces:
        tracing.send(each)
    tracing.close()
    return {span.name: span for span in exporter.get_finished_spans()}


def a_video() -> list[Any]:
    status = succeeded()
    metadata = a_resource_seen(status=status).metadata
    return spans_of_video(metadata, status, at(0), "Succeeded")


def test_the_exporter_gets_the_spans_with_their_ids_and_times() -> None:
    given = {span.name: span for span in a_video()}
    got = exported(given.values())
    assert set(got) == set(given)
    for name, span in given.items():
        told = got[name]
        assert f"{told.context.trace_id:032x}" == span.trace_id
        assert f"{told.context.span_id:016x}" == span.span_id
        assert (f"{told.parent.span_id:016x}" if told.parent else None) == span.parent_id
        assert told.start_time is not None
        assert told.start_time / 1e9 == pytest.approx(span.begin.timestamp(), abs=1e-6)
        assert dict(told.attributes or {}) == dict(span.attributes)
        assert told.resource.attributes["service.name"] == "text-to-video-operator"


def test_an_error_is_the_spans_status() -> None:
    webhook = WebhookStatus(attempts=1, first_attempt_time=at(50), given_up_time=at(60))
    status = succeeded().model_copy(update={"webhook": webhook})
    got = exported(spans_of_webhook(a_resource_seen(status=status).metadata, status))
    assert got["webhook"].status.status_code is StatusCode.ERROR
    assert got["webhook"].status.description == "GivenUp"


def test_the_name_of_the_service_and_the_sampler_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "videos-of-the-team")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    attributes = exported(a_video())["video"].resource.attributes
    assert attributes["service.name"] == "videos-of-the-team"
    assert attributes["deployment.environment.name"] == "test"
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    assert exported(a_video()) == {}
    webhook = WebhookStatus(attempts=1, first_attempt_time=at(50), given_up_time=at(60))
    status = succeeded().model_copy(update={"webhook": webhook})
    metadata = a_resource_seen(status=status).metadata
    assert exported(spans_of_webhook(metadata, status)) == {}, "as its video's"


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "a"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a:4318/v1/traces"}, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_sent_where_an_endpoint_is_configured(
    environment: dict[str, str], wanted: bool
) -> None:
    assert is_wanted(environment) is wanted
    if not wanted:
        assert open_tracing(environment) is None


def test_a_collector_gets_them_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real exporter, at the path that OTLP names."""
    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            got.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not into the tests' output."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        tracing = open_tracing(os.environ)
        assert tracing
        tracing.send(a_video())
        tracing.close()
        server.shutdown()
        thread.join()
    ((path, body),) = got
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    told = [span for scope in resource.scope_spans for span in scope.spans]
    assert {span.name for span in told} == {span.name for span in a_video()}
    assert {span.trace_id.hex() for span in told} == {span.trace_id for span in a_video()}


def test_another_protocol_is_refused_with_the_port_that_works() -> None:
    with pytest.raises(ConfigurationError, match=r"grpc.*4318"):
        open_tracing(ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_without_an_endpoint_nothing_of_the_sdk_is_loaded() -> None:
    """It takes memory and time at the start of every replica."""
    program = (
        "import sys, t2v_operator.cluster.controller as c; c.open_tracing({}); "
        "sys.exit(any(m.startswith('opentelemetry.sdk') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0

"""A video's trace: its id on the status and in the log, its spans at the end."""

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from t2v_api.resource import WebhookStatus
from t2v_operator.cluster import reconcile
from t2v_operator.cluster.controller import Operator
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.cluster.reporting import Delivery
from t2v_operator.core.trace import trace_id
from t2v_operator.delivery.tracing import Tracing

from tests.unit.builders import a_config
from tests.unit.cluster.test_reconcile import World, the_status
from tests.unit.observations import (
    UID,
    a_record_of,
    a_resource_seen,
    a_result,
    a_status,
    at,
    queued,
    running,
    succeeded,
)

Exported = Callable[[], list[str]]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], World]:
    def made(sends_traces: bool) -> World:
        tested = World()
        tested.reconciler._effects._sends_traces = sends_traces
        monkeypatch.setattr(reconcile, "time", SimpleNamespace(monotonic=lambda: tested.uptime))
        tested.has()
        return tested

    return made


def the_whole_way(tested: World) -> list[dict[str, Any]]:
    """Each status that was written, from the first to the last."""
    written = [tested.looks_until_it_is_written()]
    tested.job(complete=True)
    tested.pod(exit_code=0, message=a_result())
    tested.hears()
    tested.looks()
    return [*written, the_status(tested.server)]


def test_the_id_is_on_the_status_from_the_first_to_the_last(world: Any) -> None:
    tested = world(True)
    first, last = the_whole_way(tested)
    assert first["traceId"] == last["traceId"] == trace_id(UID, last["requestHash"])
    count = tested.server.count("update", RESOURCES)
    tested.hears()
    tested.looks()
    assert tested.server.count("update", RESOURCES) == count, "it is no news"


def test_without_traces_there_is_no_id(world: Any) -> None:
    assert [status.get("traceId") for status in the_whole_way(world(False))] == [None, None]


def test_another_request_has_another_trace(world: Any) -> None:
    first, _ = the_whole_way(world(True))
    changed = a_status(
        spec={"prompt": "a blue circle"},
        status=succeeded().model_copy(update={"trace_id": first["traceId"]}),
        generation=2,
    )
    assert changed.trace_id is None


def test_the_log_names_resource_and_trace(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "t2v_operator"):
        first, _ = the_whole_way(world(True))
    told = [record for record in caplog.records if "red-circle" in record.getMessage()]
    assert told
    for record in told:
        fields = vars(record)
        assert (fields["namespace"], fields["resource"]) == ("default", "red-circle")
        assert fields["trace_id"] == first["traceId"]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def operator(exporter: InMemorySpanExporter) -> Operator:
    nothing: Any = None
    delivery = Delivery(a_config(), session=nothing, store=None, certificate=None)
    return Operator(nothing, delivery, Tracing(SimpleSpanProcessor(exporter)))


def names(exporter: InMemorySpanExporter) -> list[str]:
    return [span.name for span in exporter.get_finished_spans()]


def test_the_end_of_a_video_is_a_trace_from_the_resource_to_the_upload(
    operator: Operator, exporter: InMemorySpanExporter
) -> None:
    operator._wrote(a_resource_seen(status=queued()), running())
    assert names(exporter) == []
    timings = {"start": 0.5, "denoise": 7.25, "upload": 1.5}
    ended = succeeded().model_copy(update={"timings": timings})
    operator._wrote(a_resource_seen(status=running()), ended)
    assert names(exporter) == ["video", "queued", "run", *timings]
    root, waited, run, *_ = exporter.get_finished_spans()
    assert root.start_time == waited.start_time == int(at(0).timestamp() * 1e9)
    assert run.parent == root.context


def test_what_was_told_is_not_told_again(
    operator: Operator, exporter: InMemorySpanExporter
) -> None:
    ended = succeeded()
    operator._wrote(a_resource_seen(status=ended), ended.model_copy(update={"message": "other"}))
    record = a_record_of(ended)
    operator._wrote(a_resource_seen(record=record), a_status(record=record))
    assert names(exporter) == []


def test_the_webhook_is_the_last_span(operator: Operator, exporter: InMemorySpanExporter) -> None:
    waits = WebhookStatus(attempts=1, first_attempt_time=at(50), next_attempt_time=at(60))
    taken = waits.model_copy(update={"next_attempt_time": None, "delivered_time": at(60)})
    for told in (waits, taken):
        status = succeeded().model_copy(update={"webhook": told})
        operator._tried_webhook(a_resource_seen(status=status), status)
    assert names(exporter) == ["webhook"]

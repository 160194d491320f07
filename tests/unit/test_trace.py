"""What the spans of a video say, from its status alone."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus, WebhookStatus
from t2v_operator.core.status import reason_of
from t2v_operator.core.trace import Span, spans_of_video, spans_of_webhook, trace_id

from tests.unit.observations import (
    a_failure,
    a_job_seen,
    a_pod,
    a_resource_seen,
    a_status,
    at,
    running,
    succeeded,
)

PROMPT = "a red circle"
TIMINGS = {"upload": 1.5, "denoise": 7.25, "start": 0.5}


def spans(status: TextToVideoJobStatus, since: float | None = 0) -> dict[str, Span]:
    metadata = a_resource_seen(status=status).metadata
    waited = None if since is None else at(since)
    found = spans_of_video(metadata, status, waited, reason_of(status))
    return {span.name: span for span in found}


def test_a_trace_is_of_one_request_of_one_resource() -> None:
    ids = {trace_id(uid, request) for uid in ("a", "b") for request in ("1", "2")}
    assert len(ids) == 4
    assert all(len(each) == 32 and int(each, 16) for each in ids)
    assert trace_id("a", "1") in ids


def test_a_video_is_told_from_its_wait_to_its_upload() -> None:
    status = succeeded().model_copy(update={"timings": TIMINGS})
    told = spans(status)
    root, run = told["video"], told["run"]
    assert (root.parent_id, root.begin, root.end) == (None, at(0), status.completion_time)
    assert root.error is None
    assert told["queued"].end == run.begin == status.attempts[0].start_time
    assert {told["queued"].parent_id, run.parent_id} == {root.span_id}
    stages = [span for span in told.values() if span.parent_id == run.span_id]
    assert [span.name for span in stages] == ["start", "denoise", "upload"]
    assert stages[0].begin == run.begin
    assert all(one.end == other.begin for one, other in pairwise(stages))
    lengths = {span.name: (span.end - span.begin).total_seconds() for span in stages}
    assert lengths == pytest.approx(TIMINGS)


def test_all_spans_share_the_trace_and_have_ids_of_their_own() -> None:
    status = succeeded()
    told = list(spans(status).values())
    assert {span.trace_id for span in told} == {trace_id("uid-1", status.request_hash or "")}
    assert len({span.span_id for span in told}) == len(told)
    assert told == list(spans(status).values()), "told twice it is the same"


def test_no_span_tells_what_people_wrote() -> None:
    status = succeeded()
    assert PROMPT in str(status.resolved)
    text = str(spans(status))
    assert PROMPT not in text
    assert "http" not in text.replace("http.response", "")


def test_a_request_that_is_made_again_has_spans_of_its_own() -> None:
    first = succeeded()
    assert first.completion_time
    later = first.model_copy(update={"completion_time": first.completion_time + timedelta(days=1)})
    one, other = spans(first), spans(later)
    assert one["video"].trace_id == other["video"].trace_id
    assert not {s.span_id for s in one.values()} & {s.span_id for s in other.values()}


def test_a_failure_is_told_with_its_reason_and_no_text() -> None:
    pods = (a_pod(exit_code=4, message=a_failure(Reason.OUT_OF_MEMORY, PROMPT)),)
    status = a_status(status=running(), job=a_job_seen(failed="BackoffLimitExceeded"), pods=pods)
    assert status.phase is Phase.FAILED
    told = spans(status)
    assert told["video"].error == reason_of(status) == told["run"].error
    assert told["run"].attributes["textto.video.exit_code"] == 4
    assert set(told) == {"video", "queued", "run"}
    assert PROMPT in status.message
    assert PROMPT not in str(told)


def test_each_run_is_told() -> None:
    status = succeeded()
    (run,) = status.attempts
    lost = run.model_copy(update={"reason": Reason.NODE_LOST, "pod_name": "pod-0"})
    status = status.model_copy(update={"attempts": (lost, run)})
    metadata = a_resource_seen(status=status).metadata
    runs = [s for s in spans_of_video(metadata, status, None, "Succeeded") if s.name == "run"]
    assert [span.error for span in runs] == ["NodeLost", None]
    assert len({span.span_id for span in runs}) == 2


def test_a_video_that_was_there_already_has_not_waited() -> None:
    reused: dict[str, Any] = {"reused": True, "attempts": (), "timings": None}
    assert set(spans(succeeded().model_copy(update=reused))) == {"video"}


def test_what_has_not_ended_has_no_spans() -> None:
    assert spans(running()) == {}


def test_the_webhook_hangs_below_the_same_video() -> None:
    status = succeeded()
    assert status.completion_time
    begun = status.completion_time
    told = WebhookStatus(
        attempts=2,
        first_attempt_time=begun,
        delivered_time=begun + timedelta(seconds=30),
        last_status_code=204,
    )
    status = status.model_copy(update={"webhook": told})
    metadata = a_resource_seen(status=status).metadata
    (span,) = spans_of_webhook(metadata, status)
    assert span.parent_id == spans(status)["video"].span_id
    assert span.end - span.begin == timedelta(seconds=30)
    assert span.attributes == {"textto.video.attempts": 2, "http.response.status_code": 204}
    assert span.error is None


@pytest.mark.parametrize(
    ("told", "errors"),
    [
        pytest.param({"next_attempt_time": at(9)}, [], id="it is tried again"),
        pytest.param({"given_up_time": at(9)}, ["GivenUp"], id="given up"),
    ],
)
def test_a_webhook_is_told_when_it_is_over(told: dict[str, Any], errors: list[str]) -> None:
    webhook = WebhookStatus(attempts=1, first_attempt_time=at(5), **told)
    status = succeeded().model_copy(update={"webhook": webhook})
    found = spans_of_webhook(a_resource_seen(status=status).metadata, status)
    assert [span.error for span in found] == errors

"""`retryToken`: each new value makes what has failed once more, and nothing else."""

import json
from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import KEPT_RETRY_TOKENS, Phase, TextToVideoJobStatus
from t2v_operator.core.decision import CreateJob, DeleteJob
from t2v_operator.core.names import RECORD_ANNOTATION
from t2v_operator.core.observe import settled
from t2v_operator.core.record import is_restored, record_to_leave

from tests.unit.observations import (
    JOB_NAME,
    a_failure,
    a_job_seen,
    a_pod,
    a_record_of,
    a_resource_document,
    a_resource_seen,
    a_status,
    decided,
    queued,
    reason_of,
    running,
    succeeded,
)

OUT_OF_MEMORY = a_failure(Reason.OUT_OF_MEMORY)


def token(value: str) -> dict[str, Any]:
    return {"retryToken": value}


def failed(**spec: Any) -> TextToVideoJobStatus:
    status = a_status(
        spec=spec,
        status=a_status(spec=spec),
        job=a_job_seen(spec, failed="PodFailurePolicy"),
        pods=(a_pod(exit_code=4, message=OUT_OF_MEMORY),),
    )
    assert status.phase is Phase.FAILED
    return status


def test_a_failed_video_is_made_once_more() -> None:
    decision = decided(spec=token("a"), status=failed(), generation=2)
    (action,) = decision.actions
    assert isinstance(action, CreateJob)
    assert action.manifest["metadata"]["name"] != JOB_NAME
    status = decision.status
    assert status
    assert (status.phase, status.observed_generation) == (Phase.QUEUED, 2)
    assert status.retry_tokens == ("a",)
    assert (status.attempts, status.attempt_count, status.completion_time) == ((), 0, None)
    assert status.request_hash == failed().request_hash


def test_a_cancelled_one_as_well_once_that_is_taken_back() -> None:
    cancelled = a_status(spec={"cancel": True}, status=running(), job=a_job_seen())
    both = {"cancel": True} | token("a")
    still = decided(spec=both, status=cancelled)
    assert still.actions == ()
    assert still.status
    assert reason_of(still.status) == Reason.CANCELLED
    (action,) = decided(spec=token("a"), status=still.status).actions
    assert isinstance(action, CreateJob)


def test_the_job_that_failed_goes_first() -> None:
    earlier = a_job_seen(failed="PodFailurePolicy")
    decision = decided(spec=token("a"), status=failed(), earlier_jobs=(earlier,))
    assert decision.actions == (DeleteJob(JOB_NAME, earlier.uid),)
    status = decision.status
    assert status
    assert (status.phase, reason_of(status)) == (Phase.PENDING, "Retrying")
    assert JOB_NAME in status.message
    after = decided(spec=token("a"), status=status)
    assert [type(action) for action in after.actions] == [CreateJob]


def test_the_same_value_never_makes_it_twice() -> None:
    again = failed(**token("a"))
    assert again.retry_tokens == ("a",)
    for spec in (token("a"), {}):
        decision = decided(spec=spec, status=again, generation=3)
        assert decision.actions == ()
        assert decision.status
        assert decision.status.phase is Phase.FAILED


def test_nor_does_a_return_to_an_earlier_value() -> None:
    first = failed(**token("a"))
    second = first.model_copy(update={"retry_tokens": ("a", "b")})
    assert decided(spec=token("a"), status=second).actions == ()
    assert decided(spec=token("c"), status=second).actions


@pytest.mark.parametrize(
    ("status", "job"),
    [(queued(), a_job_seen()), (running(), a_job_seen()), (succeeded(), None)],
    ids=["queued", "running", "succeeded"],
)
def test_it_has_no_effect_on_any_other_and_is_used_up(
    status: TextToVideoJobStatus, job: Any
) -> None:
    pods = (a_pod(running=True),) if status.phase is Phase.RUNNING else ()
    decision = decided(spec=token("a"), status=status, job=job, pods=pods, generation=2)
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is status.phase
    assert decision.status.job_name == JOB_NAME
    assert decision.status.retry_tokens == ("a",)
    later = a_status(status=status, job=a_job_seen(failed="X")).model_copy(
        update={"retry_tokens": ("a",)}
    )
    assert decided(spec=token("a"), status=later).actions == ()


def test_each_try_has_a_job_of_its_own_name_and_always_the_same() -> None:
    def name(status: TextToVideoJobStatus | None, **spec: Any) -> str:
        return a_resource_seen(spec=spec, status=status).job_name

    names = {name(failed(), **token(value)) for value in ("a", "b", "c")}
    assert len(names | {JOB_NAME}) == 4
    assert name(failed(), **token("a")) == name(failed(), **token("a"))
    assert name(None) == JOB_NAME
    # Until it is written down that it begins, and after that.
    (action,) = decided(spec=token("a"), status=failed()).actions
    assert isinstance(action, CreateJob)
    assert action.manifest["metadata"]["name"] == name(failed(), **token("a"))
    assert name(a_status(spec=token("a"), status=failed()), **token("a")) in names


def test_an_operator_that_died_before_it_wrote_that_down_goes_on() -> None:
    job = a_job_seen(token("a"))
    decision = decided(spec=token("a"), status=failed(), job=job)
    assert decision.actions == ()
    assert decision.status
    assert (decision.status.phase, decision.status.retry_tokens) == (Phase.QUEUED, ("a",))


def test_what_the_earlier_try_came_to_counts_no_more() -> None:
    disrupted = failed().model_copy(update={"disruptions": 99})
    status = a_status(spec=token("a"), status=disrupted)
    assert status.disruptions == 0
    assert (
        a_status(spec=token("a"), status=status, job=a_job_seen(token("a"))).phase is Phase.QUEUED
    )


def test_a_changed_request_forgets_what_was_tried() -> None:
    status = a_status(
        spec={"prompt": "another"} | token("a"), status=failed(**token("a")), generation=2
    )
    assert status.phase is Phase.QUEUED
    assert status.retry_tokens == ("a",)


def test_not_all_values_are_kept_for_ever() -> None:
    many = failed().model_copy(
        update={"retry_tokens": tuple(str(number) for number in range(KEPT_RETRY_TOKENS))}
    )
    status = a_status(spec=token("new"), status=many)
    assert len(status.retry_tokens) == KEPT_RETRY_TOKENS
    assert status.retry_tokens[-1] == "new"


def test_a_record_restores_the_try_that_it_is_of() -> None:
    record = a_record_of(failed(**token("a")))
    restored = a_status(spec=token("a"), record=record)
    assert (restored.phase, restored.retry_tokens) == (Phase.FAILED, ("a",))
    assert a_status(record=record).phase is Phase.FAILED
    asked = a_status(spec=token("b"), record=record)
    assert asked.phase is Phase.QUEUED, "the status was lost, and then another try was asked for"
    video = a_record_of(succeeded())
    assert a_status(spec=token("a"), record=video).phase is Phase.SUCCEEDED


def test_the_end_of_another_try_is_recorded_and_counted_anew() -> None:
    old, again = a_record_of(failed()), failed(**token("a"))
    seen = a_resource_seen(spec=token("a"), status=again, record=old)
    assert not is_restored(seen, again), "it counts in the metrics"
    record = record_to_leave(seen, again)
    assert record
    assert record.retry_tokens == ("a",)
    assert record_to_leave(a_resource_seen(status=again, record=record.json_line()), again) is None


def test_a_resource_is_settled_once_its_latest_try_is_recorded() -> None:
    again = failed(**token("a"))
    document = a_resource_document(spec=token("a"), status=again, record=a_record_of(failed()))
    assert settled(document) is None
    document["metadata"]["annotations"][RECORD_ANNOTATION] = a_record_of(again)
    assert settled(document)


def test_a_record_of_before_there_were_tries_is_one_of_the_first() -> None:
    record = a_record_of(failed())
    assert "retryTokens" not in json.loads(record)
    assert a_status(record=record).phase is Phase.FAILED
    assert settled(a_resource_document(status=failed(), record=record))


def test_a_lost_status_forgets_no_value() -> None:
    """Each was made once, whichever the resource names by now."""
    second = failed(**token("a")).model_copy(update={"retry_tokens": ("a", "b")})
    record = a_record_of(second, spec=token("b"))
    for spec in (token("b"), token("a"), {}):
        restored = a_status(spec=spec, record=record)
        assert restored.phase is Phase.FAILED
        assert restored.retry_tokens == ("a", "b")
        assert is_restored(a_resource_seen(spec=spec, record=record), restored)


def test_one_that_comes_with_a_cancel_asks_once_that_is_taken_back() -> None:
    both = {"cancel": True} | token("a")
    cancelled = a_status(spec=both, status=running(), job=a_job_seen())
    assert reason_of(cancelled) == Reason.CANCELLED
    (action,) = decided(spec=token("a"), status=cancelled).actions
    assert isinstance(action, CreateJob)


def test_the_value_of_the_try_that_is_cancelled_was_used() -> None:
    under_way = running().model_copy(update={"retry_tokens": ("a",)})
    cancelled = a_status(spec={"cancel": True} | token("a"), status=under_way, job=a_job_seen())
    assert decided(spec=token("a"), status=cancelled).actions == ()


def test_nor_does_an_old_one_lie_in_wait_where_a_changed_request_is_cancelled() -> None:
    before = succeeded().model_copy(update={"retry_tokens": ("a",)})
    changed = {"prompt": "a blue square"} | token("a")
    cancelled = a_status(spec={"cancel": True} | changed, status=before, generation=2)
    assert decided(spec=changed, status=cancelled, generation=3).actions == ()

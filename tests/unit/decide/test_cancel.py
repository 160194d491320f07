"""`cancel` ends a video wherever it is, and nothing that has ended."""

from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_operator.core.decision import CreateJob, DeleteJob
from t2v_operator.core.events import notices

from tests.unit.builders import a_config_that_asks, a_config_with_kueue
from tests.unit.observations import (
    JOB_NAME,
    a_failure,
    a_job_seen,
    a_pod,
    a_record_of,
    a_result,
    a_status,
    a_workload,
    conditions,
    decided,
    queued,
    reason_of,
    running,
    succeeded,
)

CANCEL = {"cancel": True}
QUEUE = {"queueName": "video"}
GONE = a_job_seen(deleting=True)


def pending() -> TextToVideoJobStatus:
    status = a_status(a_config_that_asks())
    assert status.phase is Phase.PENDING
    return status


def suspended() -> TextToVideoJobStatus:
    return a_status(spec={"suspend": True})


def in_kueue() -> dict[str, Any]:
    kueue = a_config_with_kueue()
    return {
        "config": kueue,
        "status": a_status(kueue, spec=QUEUE),
        "job": a_job_seen(QUEUE, config=kueue),
        "workload": a_workload(waits="no quota"),
        "spec": QUEUE,
    }


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param({}, id="before anybody looked at it"),
        pytest.param({"status": pending()}, id="while its prompt is enhanced"),
        pytest.param({"status": suspended()}, id="suspended, without a Job"),
        pytest.param(
            {"status": suspended(), "job": a_job_seen({"suspend": True})}, id="suspended, with one"
        ),
        pytest.param({"status": queued()}, id="its Job was deleted by somebody"),
        pytest.param({"status": queued(), "job": a_job_seen()}, id="without a pod"),
        pytest.param(
            {"status": queued(), "job": a_job_seen(), "pods": (a_pod(unschedulable="no GPU"),)},
            id="it waits for a GPU",
        ),
        pytest.param(in_kueue(), id="it waits in Kueue's queue"),
        pytest.param(
            {"status": running(), "job": a_job_seen(), "pods": (a_pod(running=True),)},
            id="it is made",
        ),
        pytest.param(
            {
                "status": running(),
                "job": a_job_seen(),
                "pods": (a_pod(exit_code=1, message=a_failure(Reason.RUNNER_FAULT)),),
            },
            id="between two attempts",
        ),
    ],
)
def test_it_ends_from_every_phase(seen: dict[str, Any]) -> None:
    spec = seen.pop("spec", {}) | CANCEL
    decision = decided(spec=spec, generation=2, **seen)
    assert decision.actions == (), "it is said first: a crash in between would make it again"
    assert decision.must_be_confirmed
    assert decision.again_seconds == 0
    status = decision.status
    assert status
    assert (status.phase, reason_of(status)) == (Phase.FAILED, Reason.CANCELLED)
    assert status.observed_generation == 2
    assert status.completion_time
    assert conditions(status) == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}
    after = decided(**(seen | {"spec": spec, "generation": 2, "status": status}))
    job = seen.get("job")
    removed = (DeleteJob(job.name, job.uid),) if job else ()
    assert after.actions == removed
    assert after.status == status


def test_the_run_that_is_stopped_is_an_attempt_that_ended() -> None:
    status = a_status(
        spec=CANCEL, status=running(), job=a_job_seen(), pods=(a_pod(running=True),), now=90
    )
    (attempt,) = status.attempts
    assert attempt.reason is Reason.CANCELLED
    assert attempt.completion_time == status.completion_time
    assert "Running" in status.message


@pytest.mark.parametrize(
    "seen",
    [
        {"job": a_job_seen(complete=True), "pods": (a_pod(exit_code=0, message=a_result()),)},
        {"job": a_job_seen(complete=True)},
        {"job": a_job_seen(), "pods": (a_pod(exit_code=0, message=a_result()),)},
        {"job": a_job_seen(), "pods": (a_pod(exit_code=0, message="it was cut"),)},
    ],
    ids=["told", "its pod is gone", "its Job is about to be complete", "without a record"],
)
def test_a_video_that_is_made_by_then_stays_one(seen: dict[str, Any]) -> None:
    status = a_status(spec=CANCEL, status=running(), **seen)
    assert status.phase in (Phase.SUCCEEDED, Phase.RUNNING, Phase.QUEUED)


def test_what_has_ended_stays_as_it_is() -> None:
    failed = a_status(status=running(), job=a_job_seen(failed="BackoffLimitExceeded"))
    for status in (succeeded(), failed):
        after = a_status(spec=CANCEL, status=status, generation=2)
        assert (after.phase, reason_of(after)) == (status.phase, reason_of(status))
        assert after.completion_time == status.completion_time


def test_taking_it_back_does_not_make_it() -> None:
    cancelled = a_status(spec=CANCEL, status=running(), job=a_job_seen())
    decision = decided(status=cancelled, generation=2)
    assert decision.actions == ()
    assert decision.status
    assert reason_of(decision.status) == Reason.CANCELLED


def test_nor_does_a_lost_status() -> None:
    cancelled = a_status(spec=CANCEL, status=running(), job=a_job_seen())
    after = a_status(record=a_record_of(cancelled))
    assert (after.phase, reason_of(after)) == (Phase.FAILED, Reason.CANCELLED)


def test_a_changed_request_is_made_once_it_is_taken_back() -> None:
    cancelled = a_status(spec=CANCEL, status=running(), job=a_job_seen())
    changed = {"prompt": "a blue circle"}
    still = a_status(spec=changed | CANCEL, status=cancelled, generation=2)
    assert reason_of(still) == Reason.CANCELLED
    assert still.request_hash != cancelled.request_hash
    (action,) = decided(spec=changed | {"prompt": "a bar"}, status=still, generation=3).actions
    assert isinstance(action, CreateJob)


def test_the_job_of_an_earlier_request_goes_as_well() -> None:
    changed = {"prompt": "a blue circle"} | CANCEL
    earlier = a_job_seen()
    status = a_status(spec=changed, status=running(), earlier_jobs=(earlier,), generation=2)
    assert reason_of(status) == Reason.CANCELLED
    decision = decided(spec=changed, status=status, earlier_jobs=(earlier,), generation=2)
    assert decision.actions == (DeleteJob(JOB_NAME, earlier.uid),)


def test_somebody_elses_job_is_left_alone() -> None:
    foreign = a_job_seen(owner_uid="another")
    status = a_status(spec=CANCEL, job=foreign)
    assert reason_of(status) == Reason.CANCELLED
    assert decided(spec=CANCEL, status=status, job=foreign).actions == ()


def test_it_is_no_warning() -> None:
    before = running()
    after = a_status(spec=CANCEL, status=before, job=a_job_seen())
    (notice,) = notices(before, after, ())
    assert (notice.kind, notice.reason) == ("Normal", "Cancelled")


def test_it_is_no_part_of_the_request() -> None:
    assert a_status(spec=CANCEL).request_hash == a_status().request_hash

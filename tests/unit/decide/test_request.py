"""The resource and its request: new, finished, changed, deleted, not to be understood."""

from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import CreateJob, Decision, DeleteJob, ReplacePod
from t2v_operator.core.observed import Observed, observe_resource

from tests.unit.builders import a_config
from tests.unit.observations import (
    UID,
    a_job_seen,
    a_pod,
    a_status,
    an_observation,
    at,
    decided,
    reason_of,
    running,
    succeeded,
    the_spec,
)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"modelId": "other"}, Reason.MODEL_NOT_FOUND),
        ({"numFrames": 33}, Reason.INVALID_REQUEST),
        ({"pool": "other"}, Reason.INVALID_REQUEST),
        ({"prompt": "  "}, Reason.INVALID_SPEC),
        ({"width": 513}, Reason.INVALID_SPEC),
        ({"strength": 0.5}, Reason.INVALID_SPEC),
        ({"initImage": "file:///etc/passwd"}, Reason.INIT_MEDIA_REFUSED),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_made_fails_before_any_job(
    spec: dict[str, Any], reason: Reason
) -> None:
    decision = decided(spec=spec)
    assert decision.status
    assert decision.actions == ()
    assert (decision.status.phase, reason_of(decision.status)) == (Phase.FAILED, reason)
    again = decided(spec=spec, status=decision.status, now=500)
    assert again.status == decision.status, "a refusal is written once"


@pytest.mark.parametrize("ended", [succeeded(), a_status(spec={"modelId": "other"})], ids=str)
def test_a_finished_request_whose_job_is_gone_stays_finished(ended: TextToVideoJobStatus) -> None:
    spec = {} if ended.phase is Phase.SUCCEEDED else {"modelId": "other"}
    decision = decided(spec=spec, status=ended, now=10_000)
    assert decision == Decision(ended), "and nothing is due again"


def test_fields_that_make_no_video_start_nothing_when_they_change() -> None:
    decision = decided(
        spec={"trackId": "x", "ttlSecondsAfterFinished": 1000}, status=succeeded(), generation=2
    )
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.SUCCEEDED
    assert decision.status.observed_generation == 2
    assert {each.observed_generation for each in decision.status.conditions} == {2}


def test_a_changed_request_first_loses_its_job_then_gets_another() -> None:
    old = a_job_seen()
    first = decided(
        spec={"prompt": "a blue circle"}, status=succeeded(), earlier_jobs=(old,), generation=2
    )
    assert first.actions == (DeleteJob(old.name, old.uid),)
    assert first.must_be_confirmed
    assert first.status
    assert (first.status.phase, first.status.output_url) == (Phase.PENDING, None)
    assert first.status.observed_generation == 2
    then = decided(spec={"prompt": "a blue circle"}, status=first.status, generation=2)
    (created,) = then.actions
    assert isinstance(created, CreateJob)
    assert created.manifest["metadata"]["name"] != old.name


def test_a_changed_request_waits_until_the_earlier_pod_has_given_its_gpu_back() -> None:
    """The Job that is deleted in the foreground is there as long as its pod is."""
    going = a_job_seen(deleting=True)
    decision = decided(
        spec={"prompt": "a blue circle"},
        status=running(),
        earlier_jobs=(going,),
        earlier_pods=(a_pod(running=True, gone_by=160),),
        generation=2,
    )
    assert decision.actions == (), "it is being deleted already, and no new one is made yet"
    assert reason_of(decision.status) == "RequestChanged"
    assert decision.again_seconds == 30


def test_an_earlier_pod_on_a_lost_node_does_not_hold_the_new_request_up_for_ever() -> None:
    decision = decided(
        spec={"prompt": "a blue circle"},
        status=running(),
        earlier_jobs=(a_job_seen(deleting=True),),
        earlier_pods=(a_pod(running=True, gone_by=160),),
        generation=2,
        now=160 + 300,
    )
    assert decision.actions == (ReplacePod("pod-1", "uid-of-pod-1"),)


def test_a_resource_being_deleted_needs_nothing() -> None:
    decision = decided(deleting=True, status=running(), job=a_job_seen())
    assert (decision.status, decision.actions) == (None, ())


@pytest.mark.parametrize(
    ("now", "removed", "again"),
    [(50 + 9, False, 1.0), (50 + 10, True, None), (50 + 11, True, None)],
    ids=["not yet", "just", "long since"],
)
def test_a_finished_job_is_removed_when_its_ttl_is_over(
    now: float, removed: bool, again: float | None
) -> None:
    decision = decided(
        spec={"ttlSecondsAfterFinished": 10},
        status=succeeded(),
        job=a_job_seen(complete=True),
        now=now,
    )
    assert bool(decision.actions) is removed
    assert decision.must_be_confirmed is removed
    assert decision.again_seconds == again
    assert decision.status
    assert decision.status.phase is Phase.SUCCEEDED


def test_finished_jobs_go_after_an_hour_where_neither_resource_nor_operator_says_otherwise() -> (
    None
):
    seen = {"status": succeeded(), "job": a_job_seen(complete=True)}
    assert decided(now=50 + 3599, **seen).again_seconds == 1
    assert [type(action) for action in decided(now=50 + 3600, **seen).actions] == [DeleteJob]


def test_finished_jobs_stay_where_the_operator_is_told_so() -> None:
    config = a_config()
    jobs = config.jobs.model_copy(update={"ttl_seconds_after_finished": None})
    decision = decided(
        config.model_copy(update={"jobs": jobs}),
        status=succeeded(),
        job=a_job_seen(complete=True),
        now=10**6,
    )
    assert decision == Decision(succeeded())


def test_a_final_status_that_another_version_wrote_is_left_as_it_is() -> None:
    observed = an_observation()
    document = {
        "metadata": {"name": "red-circle", "uid": UID},
        "spec": the_spec(),
        "status": {
            "phase": "Succeeded",
            "requestHash": observed.resource.request_hash,
            "observedGeneration": 1,
            "fromTheFuture": 1,
        },
    }
    strange = Observed(observe_resource(document), None, (), (), at(0))
    assert decide(strange, a_config()) == Decision(status=None)


def test_a_field_of_a_newer_crd_takes_nothing_away() -> None:
    spec = {"motionScale": 1.5}
    assert decided(spec=spec, status=succeeded()).status == succeeded()
    assert decided(spec=spec, status=running(), job=a_job_seen()).actions == ()

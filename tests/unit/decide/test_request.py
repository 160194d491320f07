"""The resource and its request: new, finished, changed, deleted, not to be understood."""

from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import CreateJob, Decision, DeleteJob, ReplacePod
from t2v_operator.core.observe import observe_resource
from t2v_operator.core.observed import Observed

from tests.unit.builders import a_config, a_config_of_jobs, a_config_with_a_store
from tests.unit.observations import (
    UID,
    a_job_seen,
    a_pod,
    a_record_of,
    a_result,
    a_status,
    an_observation,
    at,
    conditions,
    decided,
    queued,
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
        ({"endImage": "file:///etc/passwd"}, Reason.INIT_MEDIA_REFUSED),
        ({"endImage": "http://169.254.169.254/a.png"}, Reason.INIT_MEDIA_REFUSED),
        ({"endImage": "store://uploads/cat.png"}, Reason.INIT_MEDIA_REFUSED),
        (
            {"initImage": "https://example.com/a.png", "endImage": "http://localhost/a.png"},
            Reason.INIT_MEDIA_REFUSED,
        ),
        (
            {"initImage": "https://example.com/a.png", "mode": "FirstFrame"},
            Reason.INIT_MEDIA_NOT_SUPPORTED,
        ),
        ({"initVideo": "store://uploads/cat.mp4"}, Reason.INIT_MEDIA_REFUSED),
        ({"initVideo": "store://../cat.mp4"}, Reason.INVALID_SPEC),
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


def test_init_media_in_the_store_gets_its_job_where_there_is_a_store() -> None:
    spec = {"initVideo": "store://uploads/cat.mp4"}
    assert "give an https:// URL" in a_status(spec=spec).message
    (created,) = decided(a_config_with_a_store(), spec=spec).actions
    assert isinstance(created, CreateJob)


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
    seen: dict[str, Any] = {"status": succeeded(), "job": a_job_seen(complete=True)}
    assert decided(now=50 + 3599, **seen).again_seconds == 1
    assert [type(action) for action in decided(now=50 + 3600, **seen).actions] == [DeleteJob]


def test_finished_jobs_stay_where_the_operator_is_told_so() -> None:
    decision = decided(
        a_config_of_jobs(ttlSecondsAfterFinished=None),
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


def test_a_new_resource_with_a_field_of_a_newer_version_gets_no_job_at_any_look() -> None:
    spec = {"motionScale": 1.5}
    first = decided(spec=spec)
    assert first.status
    assert first.actions == ()
    assert reason_of(first.status) == "UnknownField"
    assert "spec.motionScale" in first.status.message
    assert conditions(first.status)["Stalled"] == "True"
    second = decided(spec=spec, status=first.status, now=400)
    assert second.actions == (), "it was written by this version, which knows it no better now"
    assert reason_of(second.status) == "UnknownField"


def test_an_operator_that_was_rolled_back_does_not_take_an_edit_for_done() -> None:
    """The newer version would take it for done too, if the edit's generation were observed."""
    decision = decided(spec={"motionScale": 1.5}, status=succeeded(), generation=2)
    assert decision.actions == ()
    assert decision.status
    assert decision.status.output_url == succeeded().output_url
    assert reason_of(decision.status) == "UnknownField"
    assert conditions(decision.status)["Stalled"] == "True"
    assert decision.status.observed_generation == 1


def test_a_lost_status_is_restored_and_no_gpu_is_used_again() -> None:
    whole = succeeded()
    decision = decided(record=a_record_of(whole), now=10**6)
    status = decision.status
    assert decision.actions == ()
    assert status
    assert status.phase is Phase.SUCCEEDED
    assert conditions(status) == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}
    for field in (
        "output_url",
        "output",
        "resolved",
        "video",
        "generation_time",
        "start_time",
        "completion_time",
        "pool",
        "message",
        "id",
    ):
        assert getattr(status, field) == getattr(whole, field), field


def test_a_lost_status_of_a_drawn_seed_comes_back_with_that_seed() -> None:
    spec = {"seed": None}
    first = a_status(spec=spec)
    ended = a_status(
        spec=spec,
        status=first,
        job=a_job_seen(spec, complete=True),
        pods=(a_pod(exit_code=0, message=a_result()),),
    )
    restored = a_status(spec=spec, record=a_record_of(ended, spec=spec))
    assert first.resolved
    assert restored.resolved
    assert restored.resolved.seed == first.resolved.seed
    assert restored.output_url == ended.output_url


def test_a_lost_failure_is_restored_with_its_reason() -> None:
    spec = {"modelId": "other"}
    failed = a_status(spec=spec)
    status = a_status(spec=spec, record=a_record_of(failed, spec=spec))
    assert (status.phase, reason_of(status)) == (Phase.FAILED, Reason.MODEL_NOT_FOUND)
    assert status.message == failed.message


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param({"record": "{"}, id="it cannot be read"),
        pytest.param(
            {"record": a_record_of(succeeded()), "spec": {"prompt": "a blue circle"}},
            id="it is of another request",
        ),
        pytest.param(
            {"record": a_record_of(succeeded(), name="the-original")},
            id="the resource is a copy of another",
        ),
        pytest.param({"record": '{"fromTheFuture": 1}'}, id="a newer version wrote it"),
    ],
)
def test_a_record_that_is_none_of_this_request_restores_nothing(seen: dict[str, Any]) -> None:
    assert [type(action) for action in decided(**seen).actions] == [CreateJob]


def test_a_record_goes_before_what_is_left_of_the_job() -> None:
    """Where the status was lost before the Job's TTL: the record knows more than a bare Job."""
    gone = decided(record=a_record_of(succeeded()), job=a_job_seen(complete=True))
    assert gone.status
    assert gone.status.video == succeeded().video


def test_a_failure_whose_status_is_lost_while_its_job_goes_is_not_made_again() -> None:
    ended = a_status(
        status=queued(),
        job=a_job_seen(),
        pods=(a_pod(waiting="ImagePullBackOff"),),
        now=900,
    )
    assert ended.phase is Phase.FAILED
    record = a_record_of(ended)
    first = decided(record=record, job=a_job_seen(deleting=True), now=901)
    then = decided(record=record, status=first.status, now=930)
    assert then.actions == ()
    assert then.status
    assert then.status.phase is Phase.FAILED


def test_another_webhook_mends_one_that_was_refused() -> None:
    refused = a_status(spec={"webhook": "http://10.0.0.1/"})
    assert refused.conditions[0].reason == Reason.WEBHOOK_REFUSED
    assert decided(spec={"webhook": "http://10.0.0.1/"}, status=refused).actions == ()
    mended = decided(spec={"webhook": "https://example.com/"}, status=refused, generation=2)
    assert mended.makes_a_job
    assert mended.status
    assert mended.status.phase is Phase.QUEUED

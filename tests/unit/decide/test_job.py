"""The Job's life: whose it is, when it is made, what of it may change, what is refused."""

import json
from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_operator.core.decide import decide, refused
from t2v_operator.core.decision import (
    Action,
    CreateJob,
    Decision,
    DeleteJob,
    PatchJob,
    Refusal,
)
from t2v_operator.core.names import APPLIED_ANNOTATION
from t2v_operator.core.observe import observe_job
from t2v_operator.core.observed import Observed

from tests.unit.builders import a_config
from tests.unit.observations import (
    JOB_NAME,
    a_job_seen,
    a_manifest,
    a_pod,
    a_status,
    an_observation,
    conditions,
    decided,
    queued,
    reason_of,
    running,
    succeeded,
)


def the_patch(decision: Decision) -> dict[str, object]:
    """What the Job's spec is changed to; the note of it is checked along."""
    (action,) = decision.actions
    assert isinstance(action, PatchJob)
    assert action.name == JOB_NAME
    spec: dict[str, object] = action.patch["spec"]
    noted = json.loads(action.patch["metadata"]["annotations"][APPLIED_ANNOTATION])
    assert noted | spec == noted, "what is changed is noted, so that it is changed once"
    return spec


def given_up() -> TextToVideoJobStatus:
    """The status of a video whose pod never started; its Job is still there."""
    never = a_pod(waiting="ImagePullBackOff")
    status = a_status(status=queued(), job=a_job_seen(), pods=(never,), now=1000)
    assert status.phase is Phase.FAILED
    return status


def after_refusal(
    observed: Observed, complaint: str, is_final: bool = True, action: Action | None = None
) -> Decision:
    """What follows when the API server does not take the first thing that was decided."""
    decision = decide(observed, a_config())
    wanted = action or decision.actions[0]
    return refused(observed, decision, Refusal(wanted, complaint, is_final), a_config())


def test_a_new_request_gets_one_job_and_is_queued() -> None:
    decision = decided()
    assert decision.actions == (CreateJob(a_manifest()),)
    assert decision.status
    assert decision.status.phase is Phase.QUEUED
    assert decision.status.job_name == JOB_NAME
    assert decision.status.resolved
    assert decision.status.resolved.seed == 1
    assert conditions(decision.status) == {
        "Ready": "False",
        "Reconciling": "True",
        "Stalled": "False",
    }


def test_a_deleted_job_is_made_again_as_often_as_backoff_limit_says() -> None:
    status = running()
    for time in range(2):
        decision = decided(status=status, now=200 + time)
        assert [type(action) for action in decision.actions] == [CreateJob]
        assert decision.must_be_confirmed, "a cache that lags shows no Job either"
        assert decision.status
        status = decision.status
        assert status.attempts[-1].reason is Reason.JOB_DELETED
    assert len(status.attempts) == status.attempt_count == 2
    assert status.attempts[0].pod_name == "pod-1", "the attempt that ran is the one that ended"
    last = decided(status=status, now=300)
    assert last.actions == ()
    assert last.must_be_confirmed
    assert last.status
    assert last.status.phase is Phase.FAILED
    assert reason_of(last.status) == Reason.JOB_DELETED


def test_a_first_job_needs_no_second_look() -> None:
    assert not decided().must_be_confirmed


@pytest.mark.parametrize(
    ("owner_uid", "reason"),
    [("", "JobNameTaken"), ("uid-of-the-deleted", "JobBeingDeleted")],
    ids=["nobody's", "of a resource of this name that was deleted"],
)
def test_a_job_that_is_not_ours_is_left_alone(owner_uid: str, reason: str) -> None:
    decision = decided(job=a_job_seen(owner_uid=owner_uid, complete=True))
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.PENDING
    assert reason_of(decision.status) == reason
    assert decision.again_seconds


def test_a_foreign_job_of_any_form_is_told() -> None:
    foreign = {
        "metadata": {"name": JOB_NAME, "uid": "other"},
        "spec": {"template": {"spec": {"containers": [{"name": "busybox", "image": "b"}]}}},
    }
    status = a_status(job=observe_job(foreign))
    assert reason_of(status) == "JobNameTaken"
    assert conditions(status)["Stalled"] == "True"


def test_suspension_stops_the_job_and_its_end_lets_it_go_on() -> None:
    before = decided(spec={"suspend": True})
    assert before.actions == ()
    assert before.status
    assert before.status.phase is Phase.SUSPENDED
    stop = decided(spec={"suspend": True}, status=running(), job=a_job_seen(), generation=2)
    assert the_patch(stop) == {"suspend": True}
    assert stop.status
    assert stop.status.phase is Phase.SUSPENDED
    go_on = decided(status=stop.status, job=a_job_seen({"suspend": True}), generation=3)
    assert the_patch(go_on) == {"suspend": False}
    assert go_on.status
    assert go_on.status.phase is Phase.QUEUED


def test_a_deadline_may_change_while_the_job_runs() -> None:
    decision = decided(
        spec={"activeDeadlineSeconds": 900},
        status=running(),
        job=a_job_seen(),
        pods=(a_pod(running=True),),
        generation=2,
    )
    assert the_patch(decision) == {"activeDeadlineSeconds": 900}
    assert decision.status
    assert decision.status.phase is Phase.RUNNING


def test_more_attempts_may_be_allowed_while_the_job_runs() -> None:
    decision = decided(
        spec={"backoffLimit": 5}, status=running(), job=a_job_seen(), pods=(a_pod(running=True),)
    )
    assert the_patch(decision) == {"backoffLimit": 5}


def test_what_something_else_does_to_a_job_is_not_fought_with() -> None:
    decision = decided(status=queued(), job=a_job_seen(suspend=True))
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.QUEUED
    assert "suspended, by a queue or by hand" in decision.status.message


def test_an_edit_of_another_field_does_not_touch_a_job_that_something_else_suspended() -> None:
    decision = decided(
        spec={"trackId": "x"}, status=queued(), job=a_job_seen(suspend=True), generation=2
    )
    assert decision.actions == ()
    deadline = decided(
        spec={"activeDeadlineSeconds": 900},
        status=queued(),
        job=a_job_seen(suspend=True),
        generation=2,
    )
    assert the_patch(deadline) == {"activeDeadlineSeconds": 900}


def test_a_job_of_an_older_version_without_a_note_is_not_resumed_by_guessing() -> None:
    (patch,) = decided(status=queued(), job=a_job_seen(applied={}, suspend=True)).actions
    assert isinstance(patch, PatchJob)
    assert set(patch.patch) == {"metadata"}, "it gets its note, and nothing else changes"


def test_a_job_of_an_older_version_follows_an_edit_that_was_not_observed_yet() -> None:
    job = a_job_seen(applied={})
    (patch,) = decided(spec={"suspend": True}, status=running(), job=job, generation=2).actions
    assert isinstance(patch, PatchJob)
    assert patch.patch["spec"] == {"suspend": True}


def test_a_job_of_an_older_version_gets_its_note_once() -> None:
    (patch,) = decided(status=running(), job=a_job_seen(applied={})).actions
    assert isinstance(patch, PatchJob)
    assert set(patch.patch) == {"metadata"}
    noted = json.loads(patch.patch["metadata"]["annotations"][APPLIED_ANNOTATION])
    assert noted == a_job_seen().applied
    assert decided(status=running(), job=a_job_seen(applied=noted)).actions == ()


def test_a_job_of_an_older_version_goes_on_by_an_edit_that_was_not_observed_yet() -> None:
    suspended = a_status(spec={"suspend": True}, status=running(), job=a_job_seen(), generation=2)
    assert suspended.phase is Phase.SUSPENDED
    decision = decided(status=suspended, job=a_job_seen(applied={}, suspend=True), generation=3)
    assert the_patch(decision) == {"suspend": False}
    assert decision.status
    assert decision.status.phase is Phase.QUEUED


def test_an_edit_back_while_the_job_is_being_deleted_is_no_attempt() -> None:
    once = {"backoffLimit": 0}
    first = a_status(
        spec=once | {"prompt": "a blue circle"},
        status=running(),
        earlier_jobs=(a_job_seen(once),),
        generation=2,
    )
    back: dict[str, Any] = {"spec": once, "generation": 3}
    waits = decided(**back, status=first, job=a_job_seen(once, deleting=True))
    assert waits.actions == ()
    assert reason_of(waits.status) == "JobBeingDeleted"
    still = decided(**back, status=waits.status, job=a_job_seen(once, deleting=True), now=110)
    again = decided(**back, status=still.status, now=130)
    assert [type(action) for action in again.actions] == [CreateJob]
    assert again.status
    assert again.status.phase is Phase.QUEUED
    assert again.status.attempts == ()


def test_a_full_quota_is_waited_for_and_is_no_reason_to_give_up() -> None:
    decision = after_refusal(an_observation(), "jobs.batch is forbidden: exceeded quota: small")
    assert decision.status
    assert decision.status.phase is Phase.PENDING
    assert reason_of(decision.status) == "QuotaExceeded"
    assert "exceeded quota: small" in decision.status.message
    assert conditions(decision.status) == {
        "Ready": "False",
        "Reconciling": "True",
        "Stalled": "False",
    }


def test_a_job_that_the_api_server_refuses_is_told() -> None:
    decision = after_refusal(an_observation(), "violates a policy")
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.PENDING
    assert reason_of(decision.status) == "JobNotCreated"
    assert "violates a policy" in decision.status.message
    assert conditions(decision.status)["Stalled"] == "True"


def test_a_webhook_that_is_down_is_waited_for() -> None:
    complaint = 'failed calling webhook "mjob.kb.io"'
    decision = after_refusal(an_observation(), complaint, is_final=False)
    assert decision.status
    assert reason_of(decision.status) == "NotAnswered"
    assert complaint in decision.status.message
    assert conditions(decision.status)["Reconciling"] == "True"


def test_a_refused_change_of_the_job_is_told_and_not_believed() -> None:
    wanted = an_observation(
        spec={"suspend": True}, status=running(), job=a_job_seen(), generation=2
    )
    decision = after_refusal(wanted, "no rights to patch jobs")
    assert decision.status
    assert decision.status.phase is Phase.RUNNING, "it still runs"
    assert reason_of(decision.status) == "JobNotChanged"
    assert "no rights to patch jobs" in decision.status.message
    assert conditions(decision.status)["Stalled"] == "True"
    again = decided(
        spec={"suspend": True}, status=decision.status, job=a_job_seen(), generation=2, now=500
    )
    assert the_patch(again) == {"suspend": True}, "it is tried again"


def test_attempts_outlive_a_refused_job() -> None:
    after = after_refusal(an_observation(status=running()), "exceeded quota")
    assert after.status
    assert [each.reason for each in after.status.attempts] == [Reason.JOB_DELETED]
    later = decided(status=after.status, now=500)
    assert later.status
    assert later.status.attempts == after.status.attempts


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(
            {"status": succeeded(), "job": a_job_seen(complete=True), "now": 50 + 3600},
            id="a video, after its TTL",
        ),
        pytest.param({"status": given_up(), "job": a_job_seen()}, id="a failure whose Job goes on"),
    ],
)
def test_a_final_status_stays_whole_though_the_job_cannot_be_removed(seen: dict[str, Any]) -> None:
    observed = an_observation(**seen)
    assert [type(action) for action in decided(**seen).actions] == [DeleteJob]
    decision = after_refusal(observed, "no rights to delete jobs")
    assert decision.status in (None, seen["status"])


def test_a_request_that_another_version_named_otherwise_gets_the_job_that_is_looked_for() -> None:
    other = a_status(spec={"suspend": True}).model_copy(update={"request_hash": "f" * 64})
    observed = an_observation(status=other)
    (created,) = decide(observed, a_config()).actions
    assert isinstance(created, CreateJob)
    assert created.manifest["metadata"]["name"] == observed.resource.job_name

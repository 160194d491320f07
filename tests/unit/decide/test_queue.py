"""Waiting in a queue of Kueue: what is asked of it, what is left to it, what it says."""

from dataclasses import replace
from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import CreateJob, Decision, DeleteJob, PatchJob, PatchWorkload
from t2v_operator.core.names import QUEUE_LABEL, QUEUE_PRIORITY_LABEL
from t2v_operator.core.observed import ObservedJob

from tests.unit.builders import a_config, a_config_with_kueue
from tests.unit.observations import (
    a_job_seen,
    a_pod,
    a_status,
    a_workload,
    an_observation,
    conditions,
    decided,
    reason_of,
)

QUEUE = {"queueName": "video"}
NO_QUOTA = "couldn't assign flavors: insufficient unused quota for nvidia.com/gpu, 1 more needed"
WORKLOAD = "job-red-circle-12345"


def with_kueue(**observation: Any) -> Decision:
    return decided(a_config_with_kueue(), **{"spec": QUEUE, **observation})


def in_queue() -> TextToVideoJobStatus:
    return a_status(a_config_with_kueue(), spec=QUEUE)


def held(spec: dict[str, Any] | None = None, **job: Any) -> ObservedJob:
    """The Job as it was made for the queue: suspended until Kueue admits it."""
    return a_job_seen(QUEUE | (spec or {}), config=a_config_with_kueue(), **job)


def admitted(spec: dict[str, Any] | None = None) -> ObservedJob:
    return held(spec, suspend=False)


def touches_suspend(decision: Decision) -> bool:
    patches = [each.patch for each in decision.actions if isinstance(each, PatchJob)]
    return any("suspend" in patch.get("spec", {}) for patch in patches)


def the_job_made(decision: Decision) -> dict[str, Any]:
    (created,) = decision.actions
    assert isinstance(created, CreateJob)
    return created.manifest


def test_a_job_for_a_queue_is_made_suspended_and_labelled() -> None:
    job = the_job_made(with_kueue(spec=QUEUE | {"priorityClassName": "urgent"}))
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"][QUEUE_LABEL] == "video"
    assert job["metadata"]["labels"][QUEUE_PRIORITY_LABEL] == "urgent"
    pod = job["spec"]["template"]
    assert "priorityClassName" not in pod["spec"], "in a queue it names the queue's priority"
    assert QUEUE_LABEL not in pod["metadata"]["labels"], "the pod is not queued besides"


def test_a_pool_may_name_the_queue() -> None:
    config = a_config_with_kueue(queueName="of-the-pool")
    assert the_job_made(decided(config))["metadata"]["labels"][QUEUE_LABEL] == "of-the-pool"
    own = the_job_made(decided(config, spec=QUEUE))
    assert own["metadata"]["labels"][QUEUE_LABEL] == "video"


def test_without_a_queue_a_job_is_not_held() -> None:
    job = the_job_made(decided(a_config_with_kueue()))
    assert job["spec"]["suspend"] is False
    assert QUEUE_LABEL not in job["metadata"]["labels"]


def test_a_queue_where_kueue_is_not_used_is_told() -> None:
    decision = decided(a_config(), spec=QUEUE)
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.PENDING
    assert reason_of(decision.status) == "QueueNotAvailable"
    assert "queueName is video" in decision.status.message
    assert "kueue.enabled" in decision.status.message
    assert conditions(decision.status)["Stalled"] == "True"
    assert decision.again_seconds


def test_a_priority_that_the_queue_does_not_know_is_told_as_kueue_would_say_nothing() -> None:
    spec = QUEUE | {"priorityClassName": "urgnt"}
    decision = with_kueue(spec=spec, queue_priority_is_known=False)
    assert decision.actions == ()
    assert reason_of(decision.status) == "QueueNotAvailable"
    assert decision.status
    assert "no WorkloadPriorityClass" in decision.status.message
    assert "urgnt" in decision.status.message
    assert decision.again_seconds, "somebody may make it"


def test_what_waits_in_a_queue_says_why_in_kueues_words() -> None:
    decision = with_kueue(status=in_queue(), job=held(), workload=a_workload(NO_QUOTA))
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.QUEUED
    assert reason_of(decision.status) == "WaitingInQueue"
    assert decision.status.message.startswith(f"waits in queue video: {NO_QUOTA}")
    assert conditions(decision.status)["Reconciling"] == "True"


def test_what_kueue_has_not_seen_yet_waits() -> None:
    decision = with_kueue(status=in_queue(), job=held())
    assert decision.actions == ()
    assert reason_of(decision.status) == "WaitingInQueue"


def test_what_was_preempted_says_so_and_by_what() -> None:
    words = "preempted to accommodate a workload of higher priority"
    decision = with_kueue(
        status=in_queue(), job=held(), workload=a_workload(NO_QUOTA, preempted=words)
    )
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (Phase.QUEUED, "Preempted")
    assert words in decision.status.message


def test_what_kueue_admits_runs() -> None:
    decision = with_kueue(
        status=in_queue(),
        job=admitted(),
        workload=a_workload(admitted=True),
        pods=(a_pod(running=True),),
    )
    assert decision.actions == ()
    assert reason_of(decision.status) == "Running"


@pytest.mark.parametrize(
    "change",
    [
        {"trackId": "x"},
        {"ttlSecondsAfterFinished": 5},
        {"webhook": "https://example.com/x"},
        {"maxDisruptions": 1},
    ],
    ids=str,
)
def test_an_edit_while_kueue_holds_the_job_changes_nothing_of_it(change: dict[str, Any]) -> None:
    decision = with_kueue(
        spec=QUEUE | change,
        status=in_queue(),
        job=held(),
        workload=a_workload(NO_QUOTA),
        generation=2,
    )
    assert decision.actions == ()
    assert decision.status
    assert decision.status.observed_generation == 2


def test_a_deadline_edited_while_kueue_holds_the_job_leaves_it_held() -> None:
    decision = with_kueue(
        spec=QUEUE | {"activeDeadlineSeconds": 60},
        status=in_queue(),
        job=held(),
        workload=a_workload(NO_QUOTA),
        generation=2,
    )
    (patch,) = decision.actions
    assert isinstance(patch, PatchJob)
    assert patch.patch["spec"] == {"activeDeadlineSeconds": 60}


@pytest.mark.parametrize(
    ("job", "pods"),
    [
        pytest.param(held(), (), id="while it is held"),
        pytest.param(admitted(), (a_pod(running=True),), id="while it runs"),
    ],
)
def test_suspension_goes_to_the_workload_and_never_to_the_job(job: ObservedJob, pods: Any) -> None:
    decision = with_kueue(
        spec=QUEUE | {"suspend": True},
        status=in_queue(),
        job=job,
        pods=pods,
        workload=a_workload(admitted=True),
        generation=2,
    )
    assert PatchWorkload(WORKLOAD, is_active=False) in decision.actions
    assert not touches_suspend(decision)
    assert decision.status
    assert decision.status.phase is Phase.SUSPENDED


def test_the_end_of_a_suspension_lets_the_workload_go_and_not_the_job() -> None:
    decision = with_kueue(
        status=in_queue(),
        job=held({"suspend": True}),
        workload=a_workload(NO_QUOTA, active=False),
        generation=3,
    )
    assert PatchWorkload(WORKLOAD, is_active=True) in decision.actions
    assert not touches_suspend(decision)
    assert decision.status
    assert decision.status.phase is Phase.QUEUED
    assert "deactivated" not in decision.status.message, "it has just been let go"


def test_a_suspension_is_noted_on_the_job_so_that_it_is_done_once() -> None:
    spec = QUEUE | {"suspend": True}
    once = with_kueue(
        spec=spec, status=in_queue(), job=admitted(), workload=a_workload(admitted=True)
    )
    assert once.actions
    noted = replace(admitted(), applied=held({"suspend": True}).applied)
    again = with_kueue(
        spec=spec, status=once.status, job=noted, workload=a_workload(NO_QUOTA, active=False)
    )
    assert again.actions == ()


def test_a_suspension_that_kueue_has_no_workload_for_yet_waits_for_it() -> None:
    decision = with_kueue(spec=QUEUE | {"suspend": True}, status=in_queue(), job=held())
    assert not touches_suspend(decision)
    assert decision.actions == ()


def test_a_suspended_video_whose_job_was_deleted_is_not_run_by_kueue() -> None:
    """Kueue admits every Job that it finds: one that is made suspended would run."""
    spec = QUEUE | {"suspend": True}
    config = a_config_with_kueue()
    first = decide(an_observation(spec=spec, status=in_queue(), generation=2), config)
    if first.actions:
        second = with_kueue(
            spec=spec,
            status=first.status,
            job=held({"suspend": True}),
            workload=a_workload(admitted=True),
            generation=2,
        )
        assert PatchWorkload(WORKLOAD, is_active=False) in second.actions


def test_a_suspended_video_stays_held_though_kueue_makes_its_workload_anew() -> None:
    decision = with_kueue(
        spec=QUEUE | {"suspend": True},
        status=in_queue(),
        job=held({"suspend": True}),
        workload=a_workload(NO_QUOTA, active=True),
        generation=2,
    )
    assert PatchWorkload(WORKLOAD, is_active=False) in decision.actions


def test_a_workload_that_somebody_else_deactivated_is_not_fought_with() -> None:
    decision = with_kueue(
        status=in_queue(), job=held(), workload=a_workload(NO_QUOTA, active=False)
    )
    assert decision.actions == ()
    assert decision.status
    assert "deactivated" in decision.status.message


def test_a_priority_may_change_in_the_queue() -> None:
    decision = with_kueue(
        spec=QUEUE | {"priorityClassName": "urgent"},
        status=in_queue(),
        job=held({"priorityClassName": "slow"}),
        workload=a_workload(NO_QUOTA),
        generation=2,
    )
    (patch,) = decision.actions
    assert isinstance(patch, PatchJob)
    assert patch.patch["metadata"]["labels"] == {QUEUE_PRIORITY_LABEL: "urgent"}
    assert "spec" not in patch.patch


def test_what_waits_in_a_queue_longer_than_it_may_has_failed() -> None:
    spec = QUEUE | {"queueDeadlineSeconds": 600}
    seen: dict[str, Any] = {
        "spec": spec,
        "status": a_status(a_config_with_kueue(), spec=spec),
        "job": held(spec),
        "workload": a_workload(NO_QUOTA, since=100),
    }
    before = with_kueue(**seen, now=699)
    assert before.actions == ()
    assert before.again_seconds == 1
    after = with_kueue(**seen, now=700)
    assert reason_of(after.status) == Reason.QUEUE_DEADLINE_EXCEEDED
    assert after.status
    assert NO_QUOTA in after.status.message
    then = with_kueue(**(seen | {"status": after.status}), now=700)
    assert [type(action) for action in then.actions] == [DeleteJob]


IMPATIENT = QUEUE | {"queueDeadlineSeconds": 600}


@pytest.mark.parametrize(
    ("job", "workload", "pods"),
    [
        pytest.param(held(IMPATIENT), a_workload(has_quota=True), (), id="it waits for a check"),
        pytest.param(held(IMPATIENT), a_workload(admitted=True), (), id="it is admitted"),
        pytest.param(held(IMPATIENT), None, (), id="Kueue has not seen it"),
        pytest.param(
            admitted(IMPATIENT), a_workload(admitted=True), (a_pod(running=True),), id="it runs"
        ),
    ],
)
def test_no_deadline_of_the_queue_ends_what_does_not_wait_for_quota(
    job: ObservedJob, workload: Any, pods: Any
) -> None:
    decision = with_kueue(
        spec=IMPATIENT, status=in_queue(), job=job, workload=workload, pods=pods, now=10**6
    )
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase in (Phase.QUEUED, Phase.RUNNING)
    assert decision.again_seconds


def test_what_has_its_quota_and_is_not_admitted_yet_says_so() -> None:
    decision = with_kueue(status=in_queue(), job=held(), workload=a_workload(has_quota=True))
    assert decision.status
    assert "has its quota" in decision.status.message
    assert decision.again_seconds


def test_after_a_preemption_the_deadline_counts_from_when_the_quota_was_taken_away() -> None:
    """Not from the Workload's beginning: it ran for hours."""
    seen: dict[str, Any] = {
        "spec": IMPATIENT,
        "status": in_queue(),
        "job": held(IMPATIENT),
        "workload": a_workload(NO_QUOTA, preempted="for a more urgent one", since=10_000),
    }
    before = with_kueue(**seen, now=10_599)
    assert (before.actions, before.again_seconds) == ((), 1)
    assert reason_of(before.status) == "Preempted"
    after = with_kueue(**seen, now=10_600)
    assert reason_of(after.status) == Reason.QUEUE_DEADLINE_EXCEEDED


def test_a_suspension_that_ends_before_its_own_effect_is_seen_lets_the_workload_go() -> None:
    """The cache may show the Workload active still; that it was held is on its way."""
    decision = with_kueue(
        status=in_queue(),
        job=held({"suspend": True}),
        workload=a_workload(NO_QUOTA, active=True),
        generation=3,
    )
    assert PatchWorkload(WORKLOAD, is_active=True) in decision.actions


def test_a_job_for_other_clusters_is_held_for_their_queue() -> None:
    config = a_config_with_kueue(queueName="far", managedBy="kueue.x-k8s.io/multikueue")
    job = the_job_made(decided(config, spec={"priorityClassName": "urgent"}))
    kueue = "kueue.x-k8s.io"
    labels = {name: value for name, value in job["metadata"]["labels"].items() if kueue in name}
    assert labels == {f"{kueue}/queue-name": "far", f"{kueue}/priority-class": "urgent"}
    assert (job["spec"]["managedBy"], job["spec"]["suspend"]) == (f"{kueue}/multikueue", True)
    pod = job["spec"]["template"]["spec"]
    assert "priorityClassName" not in pod, "a PriorityClass of another cluster"


def test_managed_by_of_the_pool_is_on_the_job() -> None:
    config = a_config_with_kueue(queueName="far", managedBy="kueue.x-k8s.io/multikueue")
    assert the_job_made(decided(config))["spec"]["managedBy"] == "kueue.x-k8s.io/multikueue"
    assert "managedBy" not in the_job_made(decided())["spec"]


FAR: dict[str, Any] = {"managedBy": "kueue.x-k8s.io/multikueue"}


def test_a_job_of_another_cluster_tells_by_its_own_status() -> None:
    waits = decided(status=a_status(), job=a_job_seen(**FAR))
    assert waits.status
    assert waits.status.phase is Phase.QUEUED
    assert "multikueue" in waits.status.message
    runs = decided(status=a_status(), job=a_job_seen(active=1, **FAR))
    assert runs.status
    assert runs.status.phase is Phase.RUNNING


def test_a_complete_job_of_another_cluster_is_a_video_without_a_pod_to_look_for() -> None:
    decision = decided(status=a_status(), job=a_job_seen(complete=True, **FAR))
    assert decision.status
    assert decision.status.phase is Phase.SUCCEEDED
    assert decision.status.output_url
    assert not decision.must_be_confirmed

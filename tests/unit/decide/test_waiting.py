"""A Job that is neither finished nor gone: what it does, or what it waits for."""

from typing import Any

import pytest
from t2v_api.progress import Stage
from t2v_api.reasons import Reason
from t2v_api.resource import Phase
from t2v_api.result import GenerationFailure
from t2v_operator.core.decision import DeleteJob, ReplacePod
from t2v_operator.core.observe import observe_pod
from t2v_operator.core.observed import ObservedPod, object_to_ask_about

from tests.unit.builders import a_config_of_jobs
from tests.unit.observations import (
    a_failure,
    a_job_seen,
    a_pod,
    a_pod_document,
    a_pod_of_a_lost_node,
    a_result,
    a_status,
    an_observation,
    at,
    conditions,
    decided,
    queued,
    reason_of,
    running,
)


@pytest.mark.parametrize(
    ("pods", "phase", "said"),
    [
        pytest.param((), Phase.QUEUED, "making the pod", id="no pod yet"),
        pytest.param(
            (a_pod(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),),
            Phase.QUEUED,
            "1 Insufficient nvidia.com/gpu",
            id="no GPU is free",
        ),
        pytest.param((a_pod(waiting="ImagePullBackOff"),), Phase.QUEUED, "ImagePullBackOff"),
        pytest.param((a_pod(running=True),), Phase.RUNNING, "pod pod-1 runs", id="it runs"),
        pytest.param(
            (a_pod(exit_code=5, message=a_failure(Reason.STORAGE_FAILED)),),
            Phase.QUEUED,
            "attempt 1 failed (StorageFailed: in the runner's words); another follows",
            id="between two attempts",
        ),
        pytest.param(
            (a_pod(exit_code=0, message=a_result()),),
            Phase.RUNNING,
            "the video is made",
            id="the pod is done before the Job is",
        ),
        pytest.param(
            (a_pod(exit_code=1), a_pod("pod-2", running=True, made=60)),
            Phase.RUNNING,
            "pod pod-2 runs",
            id="the second attempt runs",
        ),
    ],
)
def test_the_pods_tell_the_phase(pods: tuple[Any, ...], phase: Phase, said: str) -> None:
    decision = decided(status=queued(), job=a_job_seen(), pods=pods)
    assert decision.status
    assert decision.status.phase is phase
    assert said in decision.status.message
    assert decision.actions == ()
    assert decision.again_seconds, "what waits is looked at again"
    assert decision.again_seconds <= 300


def test_progress_is_the_runners_own() -> None:
    status = a_status(status=running(), job=a_job_seen(), pods=(a_pod(running=True),), percent=19)
    assert status.progress
    assert (status.progress.percent, status.progress.step) == (19, 3)
    later = a_status(status=status, job=a_job_seen(), pods=(a_pod(running=True),))
    assert later.progress == status.progress, "a report that is not to be had takes nothing away"


def test_attempts_whose_pods_are_gone_stay_on_the_status() -> None:
    first = a_status(status=queued(), job=a_job_seen(), pods=(a_pod(exit_code=1),))
    second = a_status(status=first, job=a_job_seen(), pods=(a_pod("pod-2", running=True, made=60),))
    assert [each.pod_name for each in second.attempts] == ["pod-1", "pod-2"]
    assert second.attempts[0].exit_code == 1


FAILED = (5, a_failure(Reason.STORAGE_FAILED))


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(
            a_pod(exit_code=5, message=FAILED[1], phase="Running"), id="its container has ended"
        ),
        pytest.param(
            a_pod(waiting="CrashLoopBackOff", earlier=FAILED, phase="Running", made=60),
            id="the kubelet waits",
        ),
    ],
)
def test_a_runner_that_is_started_again_in_its_pod_has_not_ended(pod: ObservedPod) -> None:
    decision = decided(status=running(), job=a_job_seen(), pods=(pod,), now=120)
    assert decision.status
    assert decision.status.phase is Phase.RUNNING
    assert reason_of(decision.status) == "Restarting"
    assert "attempt 1 failed (StorageFailed: in the runner's words)" in decision.status.message
    (attempt,) = decision.status.attempts
    assert (attempt.reason, attempt.exit_code) == (Reason.STORAGE_FAILED, 5)


def test_each_run_in_a_pod_is_an_attempt() -> None:
    first = a_status(status=queued(), job=a_job_seen(), pods=(a_pod(running=True),))
    again = a_pod(running=True, restarts=1, earlier=FAILED, made=60)
    second = a_status(status=first, job=a_job_seen(), pods=(again,))
    assert [each.exit_code for each in second.attempts] == [5, None]
    done = a_pod(exit_code=0, message=a_result(), restarts=2, earlier=FAILED, made=120)
    last = a_status(status=second, job=a_job_seen(complete=True), pods=(done,))
    assert last.phase is Phase.SUCCEEDED
    assert [each.exit_code for each in last.attempts] == [5, 5, 0]
    assert {each.pod_name for each in last.attempts} == {"pod-1"}


def test_a_run_whose_end_was_not_seen_says_so() -> None:
    first = a_status(status=queued(), job=a_job_seen(), pods=(a_pod(running=True),))
    later = a_pod(running=True, restarts=3, earlier=FAILED, made=300)
    status = a_status(status=first, job=a_job_seen(), pods=(later,))
    assert [each.exit_code for each in status.attempts] == [None, 5, None]
    assert "while nobody looked" in status.attempts[0].message


def test_more_runs_than_are_kept_are_counted_once() -> None:
    status = queued()
    for run in range(14):
        pod = a_pod(
            running=True, restarts=min(run, 10), earlier=FAILED if run else None, made=60 * run
        )
        for _ in range(3):
            status = a_status(status=status, job=a_job_seen(), pods=(pod,))
    assert (status.attempt_count, len(status.attempts)) == (14, 10)


@pytest.mark.parametrize("exit_code", [None, 137], ids=["no word", "as an evicted pod has it"])
def test_a_pod_that_is_taken_away_between_two_runs_is_one_more_attempt(
    exit_code: int | None,
) -> None:
    waits = a_pod(waiting="CrashLoopBackOff", earlier=FAILED, phase="Running", made=60)
    before = a_status(status=running(), job=a_job_seen(), pods=(waits,))
    document = a_pod_document(earlier=FAILED, phase="Failed", disrupted="preempted", made=60)
    if exit_code:
        unknown = {"exitCode": exit_code, "reason": "ContainerStatusUnknown"}
        document["status"]["containerStatuses"][0]["state"] = {"terminated": unknown}
    gone = observe_pod(document)
    after = a_status(status=before, job=a_job_seen(), pods=(gone,))
    assert [each.reason for each in after.attempts] == [Reason.STORAGE_FAILED, Reason.DISRUPTED]


def test_a_runner_that_does_not_keep_count_has_failed_at_last() -> None:
    pod = a_pod(running=True, restarts=11, earlier=FAILED, made=600)
    decision = decided(status=running(), job=a_job_seen(), pods=(pod,), now=700)
    assert decision.status
    assert decision.status.phase is Phase.FAILED
    assert "started again 11 times in pod pod-1; the last time: in the" in decision.status.message


def test_a_runner_that_is_not_started_again_in_time_has_failed() -> None:
    pod = a_pod(waiting="CrashLoopBackOff", earlier=FAILED, phase="Running", made=60)
    decision = decided(status=running(), job=a_job_seen(), pods=(pod,), now=2000)
    assert decision.status
    assert reason_of(decision.status) == "StartDeadlineExceeded"


def test_an_evicted_pod_is_an_attempt_with_its_reason() -> None:
    status = a_status(
        status=running(),
        job=a_job_seen(),
        pods=(a_pod(exit_code=143, disrupted="preempted by a more important pod"),),
    )
    assert status.attempts[0].reason is Reason.DISRUPTED
    assert "preempted" in status.attempts[0].message


@pytest.mark.parametrize("disrupted", ["", "preempted by a more important pod"])
def test_an_attempt_says_from_which_step_it_went_on(disrupted: str) -> None:
    record = GenerationFailure(
        reason=Reason.STOPPED, message="stopped", stage=Stage.DENOISE, resumed_step=12
    )
    pod = a_pod(exit_code=143, message=record.json_line(), disrupted=disrupted)
    status = a_status(status=running(), job=a_job_seen(), pods=(pod,))
    assert status.attempts[0].resumed_step == 12


def test_what_the_job_controller_cannot_do_is_told() -> None:
    status = a_status(status=queued(), job=a_job_seen(), complaint="violates PodSecurity")
    assert "violates PodSecurity" in status.message


def test_the_same_look_twice_changes_nothing() -> None:
    seen: dict[str, Any] = {"job": a_job_seen(), "pods": (a_pod(running=True),), "percent": 10}
    first = a_status(status=queued(), **seen)
    assert a_status(status=first, **seen) == first


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = a_status(now=100)
    second = a_status(status=first, job=a_job_seen(), pods=(a_pod(running=True),), now=130)
    assert {each.last_transition_time for each in second.conditions} == {at(100)}


REPLACED = ReplacePod("pod-1", "uid-of-pod-1")


def test_a_pod_on_a_lost_node_is_told_as_soon_as_its_node_is_not_ready() -> None:
    decision = decided(
        status=running(), job=a_job_seen(), pods=(a_pod_of_a_lost_node(since=100),), now=101
    )
    assert decision.status
    assert reason_of(decision.status) == "NodeLost"
    assert "node node-1 has not answered since 12:01:40Z" in decision.status.message
    assert decision.actions == ()
    assert decision.again_seconds == 299, "it is looked at when the pod is due to be given up"
    assert conditions(decision.status)["Reconciling"] == "True"


def test_a_pod_on_a_lost_node_is_given_up_after_five_minutes() -> None:
    decision = decided(
        status=running(), job=a_job_seen(), pods=(a_pod_of_a_lost_node(since=100),), now=400
    )
    assert decision.actions == (REPLACED,)
    assert decision.must_be_confirmed


def test_how_long_a_node_may_be_lost_is_configured() -> None:
    decision = decided(
        a_config_of_jobs(nodeLostSeconds=0),
        status=running(),
        job=a_job_seen(),
        pods=(a_pod_of_a_lost_node(since=100),),
        now=100,
    )
    assert decision.actions == (REPLACED,)


def test_a_node_that_comes_back_in_time_loses_nothing() -> None:
    lost = a_status(
        status=running(), job=a_job_seen(), pods=(a_pod_of_a_lost_node(since=100),), now=200
    )
    back = decided(status=lost, job=a_job_seen(), pods=(a_pod(running=True),), now=399)
    assert back.actions == ()
    assert reason_of(back.status) == "Running"


@pytest.mark.parametrize(
    ("now", "reason"),
    [(160 + 29, "Running"), (160 + 30, "NodeLost")],
    ids=["it may still be ending", "its node does not answer"],
)
def test_a_pod_that_should_be_gone_and_is_not_has_a_lost_node(now: float, reason: str) -> None:
    decision = decided(
        status=running(), job=a_job_seen(), pods=(a_pod(running=True, gone_by=160),), now=now
    )
    assert reason_of(decision.status) == reason
    assert decision.again_seconds
    assert decision.again_seconds <= 300
    if reason == "Running":
        assert decision.again_seconds <= 30


def test_a_container_beside_the_runner_that_is_not_ready_is_no_lost_node() -> None:
    """The kubelet says why; the node controller, which marks the pods of lost nodes, does not."""
    pod = a_pod_of_a_lost_node(since=100, not_ready_reason="ContainersNotReady")
    decision = decided(status=running(), job=a_job_seen(), pods=(pod,), now=1000)
    assert decision.actions == ()
    assert reason_of(decision.status) == "Running"


def test_a_pod_that_was_given_up_is_an_attempt_lost_with_its_node() -> None:
    ended = a_pod(
        phase="Failed",
        disrupted="the pod's node does not answer",
        disruption_reason="NodeLost",
    )
    status = a_status(status=running(), job=a_job_seen(), pods=(ended,), now=401)
    assert status.attempts[0].reason is Reason.NODE_LOST
    assert status.disruptions == 1
    assert "another follows" in status.message


NEVER_STARTS = [
    pytest.param(
        a_pod(waiting="ImagePullBackOff", waiting_message='Back-off pulling image "typo"'),
        'Back-off pulling image "typo"',
        id="no such image",
    ),
    pytest.param(
        a_pod(waiting="CreateContainerConfigError", waiting_message='secret "key" not found'),
        'secret "key" not found',
        id="no such secret",
    ),
    pytest.param(
        a_pod(unschedulable='0/3 nodes are available: persistentvolumeclaim "videos" not found.'),
        'persistentvolumeclaim "videos" not found',
        id="no such volume claim",
    ),
]


@pytest.mark.parametrize(("pod", "words"), NEVER_STARTS)
def test_a_pod_that_does_not_start_within_fifteen_minutes_has_failed(pod: Any, words: str) -> None:
    job = a_job_seen()
    before = decided(status=queued(), job=job, pods=(pod,), now=899)
    assert before.actions == ()
    assert before.status
    assert before.status.phase is Phase.QUEUED
    assert before.again_seconds == 1, "it is looked at when the deadline is over"
    after = decided(status=queued(), job=job, pods=(pod,), now=900)
    assert after.status
    assert (after.status.phase, reason_of(after.status)) == (
        Phase.FAILED,
        Reason.START_DEADLINE_EXCEEDED,
    )
    assert words in after.status.message
    assert "900 s" in after.status.message
    assert after.must_be_confirmed
    assert after.actions == (), "it is said first: a crash in between would make it again"
    assert after.again_seconds == 0
    then = decided(status=after.status, job=job, pods=(pod,), now=900)
    assert then.actions == (DeleteJob(job.name, job.uid),), "then its GPU is free again"
    assert then.status == after.status


def test_how_long_a_pod_may_start_is_configured() -> None:
    status = a_status(
        a_config_of_jobs(startDeadlineSeconds=20),
        status=queued(),
        job=a_job_seen(),
        pods=(a_pod(waiting="ImagePullBackOff"),),
        now=20,
    )
    assert reason_of(status) == Reason.START_DEADLINE_EXCEEDED


def test_the_start_deadline_does_not_count_the_wait_for_a_gpu() -> None:
    waits = a_pod(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    status = a_status(status=queued(), job=a_job_seen(), pods=(waits,), now=10**6)
    assert (status.phase, reason_of(status)) == (Phase.QUEUED, "Unschedulable")


def test_a_video_that_waits_for_a_gpu_longer_than_it_may_has_failed() -> None:
    spec = {"queueDeadlineSeconds": 600}
    waits = a_pod(unschedulable="1 Insufficient nvidia.com/gpu", made=100)
    seen: dict[str, Any] = {
        "spec": spec,
        "status": queued(spec=spec),
        "job": a_job_seen(spec),
        "pods": (waits,),
    }
    before = decided(**seen, now=699)
    assert before.actions == ()
    assert before.again_seconds == 1
    after = decided(**seen, now=700)
    assert after.status
    assert reason_of(after.status) == Reason.QUEUE_DEADLINE_EXCEEDED
    assert "queueDeadlineSeconds is 600" in after.status.message
    assert "1 Insufficient nvidia.com/gpu" in after.status.message
    then = decided(**(seen | {"status": after.status}), now=700)
    assert [type(action) for action in then.actions] == [DeleteJob]


def test_a_queue_deadline_does_not_stop_what_runs() -> None:
    spec = {"queueDeadlineSeconds": 1}
    decision = decided(
        spec=spec, status=running(), job=a_job_seen(spec), pods=(a_pod(running=True),), now=10**6
    )
    assert decision.actions == ()
    assert reason_of(decision.status) == "Running"


def test_a_quota_that_has_no_room_for_the_pod_is_waited_for() -> None:
    status = a_status(status=queued(), job=a_job_seen(), complaint="forbidden: exceeded quota: gpu")
    assert reason_of(status) == "QuotaExceeded"
    assert conditions(status)["Reconciling"] == "True"


@pytest.mark.parametrize(
    ("seen", "asked"),
    [
        pytest.param({"now": 19}, False, id="it is young"),
        pytest.param({"now": 20}, True, id="a Job without a pod"),
        pytest.param({"pods": (a_pod(),), "now": 20}, True, id="a pod that says nothing"),
        pytest.param({"pods": (a_pod(waiting="ErrImagePull"),)}, False, id="a pod that says why"),
        pytest.param({"pods": (a_pod(unschedulable="full"),)}, False, id="one without a node"),
        pytest.param({"pods": (a_pod(running=True),)}, False, id="one that runs"),
        pytest.param({"pods": (a_pod(exit_code=1),), "now": 300}, True, id="between attempts"),
        pytest.param({"job": a_job_seen(suspend=True)}, False, id="a Job that is held"),
        pytest.param({"job": a_job_seen(complete=True)}, False, id="a Job that is done"),
    ],
)
def test_the_clusters_events_are_asked_only_about_what_is_silent(
    seen: dict[str, Any], asked: bool
) -> None:
    observed = an_observation(**{"job": a_job_seen(), "now": 100, **seen})
    assert (object_to_ask_about(observed) is not None) is asked


def test_attempts_stand_in_the_order_of_their_beginning_whichever_pod_went_first() -> None:
    first = a_pod("pod-1", exit_code=5, message=a_failure(Reason.STORAGE_FAILED, "first"))
    second = a_pod("pod-2", exit_code=1, message=a_failure(Reason.RUNNER_FAULT, "second"), made=60)
    both = a_status(status=queued(), job=a_job_seen(), pods=(first, second), now=120)
    status = a_status(status=both, job=a_job_seen(), pods=(first,), now=130)
    assert [each.pod_name for each in status.attempts] == ["pod-1", "pod-2"]
    ended = a_status(
        status=status, job=a_job_seen(failed="BackoffLimitExceeded"), pods=(first,), now=140
    )
    assert reason_of(ended) == Reason.RUNNER_FAULT
    assert "second" in ended.message

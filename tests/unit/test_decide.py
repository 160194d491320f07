"""The next step for one resource, from what is seen of it."""

from typing import Any

import pytest
from t2v_api.progress import Stage
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_api.result import GenerationFailure, GenerationResult
from t2v_operator.core.decide import (
    CreateJob,
    Decision,
    DeleteJob,
    PatchJob,
    decide,
    job_refused,
)
from t2v_operator.core.names import job_name
from t2v_operator.core.observed import Observed, observe_job, observe_resource

from tests.unit.builders import a_config, a_resource
from tests.unit.observations import (
    a_job_seen,
    a_manifest,
    a_pod,
    a_status,
    an_observation,
    at,
    decided,
    the_spec,
)

JOB_NAME = job_name(a_resource(**the_spec()))


def a_result() -> str:
    return GenerationResult.model_validate(
        {
            "output": ("video.mp4", "poster.jpg"),
            "video": {
                "sha256": "a" * 64,
                "frames_sha256": "b" * 64,
                "bytes": 1000,
                "width": 64,
                "height": 64,
                "frames": 16,
                "fps": 8,
                "duration": 2.0,
            },
            "seed": 1,
            "scheduler": "DDIMScheduler",
            "scheduler_class": "DDIMScheduler",
            "model_revision": "path:tiny-shapes",
            "device": "cpu",
            "dtype": "float32",
            "timings": {Stage.START: 1.0},
            "generation_time": 12.34,
        },
        strict=False,
    ).json_line()


def a_failure(reason: Reason, message: str = "in the runner's words") -> str:
    return GenerationFailure(reason=reason, message=message, stage=Stage.LOAD).json_line()


def conditions(status: TextToVideoJobStatus) -> dict[str, str]:
    return {each.type: each.status for each in status.conditions}


def queued() -> TextToVideoJobStatus:
    return a_status()


def running() -> TextToVideoJobStatus:
    return a_status(status=queued(), job=a_job_seen(), pods=(a_pod(running=True),))


def succeeded(**observation: Any) -> TextToVideoJobStatus:
    return a_status(
        status=running(),
        job=a_job_seen(complete=True),
        pods=(a_pod(exit_code=0, message=a_result()),),
        **observation,
    )


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


def test_progress_is_the_runners_own() -> None:
    status = a_status(status=running(), job=a_job_seen(), pods=(a_pod(running=True),), percent=19)
    assert status.progress
    assert (status.progress.percent, status.progress.step) == (19, 3)
    later = a_status(status=status, job=a_job_seen(), pods=(a_pod(running=True),))
    assert later.progress == status.progress, "a report that is not to be had takes nothing away"


def test_a_finished_job_is_a_video_with_all_that_is_known_of_it() -> None:
    status = succeeded()
    assert status.phase is Phase.SUCCEEDED
    assert conditions(status) == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}
    assert status.output_url
    assert status.output_url.startswith("http://videos.example.com/videos/default/")
    assert status.output_url.endswith("/video.mp4")
    assert status.generation_time == 12.34
    assert status.progress
    assert status.progress.percent == 100
    assert status.video
    assert status.resolved
    assert (status.start_time, status.completion_time) == (at(2), at(50))
    assert [(each.pod_name, each.exit_code) for each in status.attempts] == [("pod-1", 0)]


def test_a_job_that_ended_while_the_operator_was_away_is_recorded() -> None:
    never_seen_running = a_status(
        job=a_job_seen(complete=True), pods=(a_pod(exit_code=0, message=a_result()),)
    )
    assert never_seen_running.phase is Phase.SUCCEEDED
    assert never_seen_running.resolved


@pytest.mark.parametrize(
    ("job", "pods", "reason", "said"),
    [
        pytest.param(
            a_job_seen(failed="PodFailurePolicy"),
            (a_pod(exit_code=3, message=a_failure(Reason.MODEL_NOT_LOADABLE)),),
            Reason.MODEL_NOT_LOADABLE,
            "in the runner's words",
            id="what another attempt cannot mend",
        ),
        pytest.param(
            a_job_seen(failed="BackoffLimitExceeded"),
            (
                a_pod(exit_code=1),
                a_pod("pod-2", exit_code=5, message=a_failure(Reason.STORAGE_FAILED), made=60),
            ),
            Reason.STORAGE_FAILED,
            "(the last of 2 attempts)",
            id="every attempt failed",
        ),
        pytest.param(
            a_job_seen(failed="BackoffLimitExceeded"),
            (a_pod(exit_code=137, kubelet_reason="OOMKilled"),),
            Reason.OUT_OF_MEMORY,
            "memory limit",
            id="the memory limit",
        ),
        pytest.param(
            a_job_seen(failed="DeadlineExceeded", activeDeadlineSeconds=60),
            (),
            Reason.DEADLINE_EXCEEDED,
            "activeDeadlineSeconds is 60",
            id="too late",
        ),
        pytest.param(
            a_job_seen(failed="BackoffLimitExceeded"),
            (),
            Reason.RUNNER_VANISHED,
            "its pod is gone and left no result",
            id="failed, and no pod tells why",
        ),
        pytest.param(
            a_job_seen(complete=True),
            (),
            Reason.RUNNER_VANISHED,
            "no pod of it is left that tells the result",
            id="complete, and no pod tells the result",
        ),
        pytest.param(
            a_job_seen(complete=True),
            (a_pod(exit_code=0, message="garbage"),),
            Reason.RUNNER_VANISHED,
            "no pod of it is left that tells the result",
            id="complete, and the record is garbage",
        ),
    ],
)
def test_a_failed_job_has_a_reason(
    job: Any, pods: tuple[Any, ...], reason: Reason, said: str
) -> None:
    spec = {"activeDeadlineSeconds": 60} if reason is Reason.DEADLINE_EXCEEDED else {}
    status = a_status(spec=spec, status=running(), job=job, pods=pods)
    assert status.phase is Phase.FAILED
    assert status.conditions[0].reason == reason
    assert said in status.message
    assert conditions(status) == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert status.completion_time


def test_attempts_whose_pods_are_gone_stay_on_the_status() -> None:
    first = a_status(status=queued(), job=a_job_seen(), pods=(a_pod(exit_code=1),))
    second = a_status(status=first, job=a_job_seen(), pods=(a_pod("pod-2", running=True, made=60),))
    assert [each.pod_name for each in second.attempts] == ["pod-1", "pod-2"]
    assert second.attempts[0].exit_code == 1


def test_an_evicted_pod_is_an_attempt_with_its_reason() -> None:
    status = a_status(
        status=running(),
        job=a_job_seen(),
        pods=(a_pod(exit_code=143, disrupted="preempted by a more important pod"),),
    )
    assert status.attempts[0].reason is Reason.DISRUPTED
    assert "preempted" in status.attempts[0].message


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"modelId": "other"}, Reason.MODEL_NOT_FOUND),
        ({"numFrames": 33}, Reason.INVALID_REQUEST),
        ({"pool": "other"}, Reason.INVALID_REQUEST),
        ({"prompt": "  "}, Reason.INVALID_SPEC),
        ({"width": 513}, Reason.INVALID_SPEC),
        ({"strength": 0.5}, Reason.INVALID_SPEC),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_made_fails_before_any_job(
    spec: dict[str, Any], reason: Reason
) -> None:
    decision = decided(spec=spec)
    assert decision.status
    assert decision.actions == ()
    assert (decision.status.phase, decision.status.conditions[0].reason) == (Phase.FAILED, reason)
    again = decided(spec=spec, status=decision.status, now=500)
    assert again.status == decision.status, "a refusal is written once"


@pytest.mark.parametrize("ended", [succeeded(), a_status(spec={"modelId": "other"})], ids=str)
def test_a_finished_request_whose_job_is_gone_stays_finished(ended: TextToVideoJobStatus) -> None:
    spec = {} if ended.phase is Phase.SUCCEEDED else {"modelId": "other"}
    decision = decided(spec=spec, status=ended, now=10_000)
    assert decision.status == ended
    assert decision.actions == ()


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
    assert first.status
    assert (first.status.phase, first.status.output_url) == (Phase.PENDING, None)
    assert first.status.observed_generation == 2
    then = decided(spec={"prompt": "a blue circle"}, status=first.status, generation=2)
    (created,) = then.actions
    assert isinstance(created, CreateJob)
    assert created.manifest["metadata"]["name"] != old.name


def test_a_deleted_job_is_made_again_as_often_as_backoff_limit_says() -> None:
    status = running()
    for time in range(2):
        decision = decided(status=status, now=200 + time)
        assert [type(action) for action in decision.actions] == [CreateJob]
        assert decision.status
        status = decision.status
        assert status.attempts[-1].reason is Reason.JOB_DELETED
    assert len(status.attempts) == 2
    assert status.attempts[0].pod_name == "pod-1", "the attempt that ran is the one that ended"
    last = decided(status=status, now=300)
    assert last.actions == ()
    assert last.status
    assert last.status.phase is Phase.FAILED
    assert last.status.conditions[0].reason == Reason.JOB_DELETED


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
    assert decision.status.conditions[0].reason == reason
    assert decision.again_seconds


def test_a_resource_being_deleted_needs_nothing() -> None:
    decision = decided(deleting=True, status=running(), job=a_job_seen())
    assert (decision.status, decision.actions) == (None, ())


def test_suspension_stops_the_job_and_its_end_lets_it_go_on() -> None:
    before = decided(spec={"suspend": True})
    assert before.actions == ()
    assert before.status
    assert before.status.phase is Phase.SUSPENDED
    stop = decided(spec={"suspend": True}, status=running(), job=a_job_seen(), generation=2)
    assert [type(action) for action in stop.actions] == [PatchJob]
    assert stop.actions[0].spec["suspend"] is True  # type: ignore[union-attr]
    assert stop.status
    assert stop.status.phase is Phase.SUSPENDED
    go_on = decided(status=stop.status, job=a_job_seen(suspend=True), generation=3)
    assert go_on.actions[0].spec["suspend"] is False  # type: ignore[union-attr]
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
    assert decision.actions == (PatchJob(JOB_NAME, {"activeDeadlineSeconds": 900}),)
    assert decision.status
    assert decision.status.phase is Phase.RUNNING


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
    assert decision.again_seconds == again
    assert decision.status
    assert decision.status.phase is Phase.SUCCEEDED


def test_a_job_that_the_api_server_refuses_is_told_and_tried_again() -> None:
    refused = an_observation()
    decision = job_refused(refused, decide(refused, a_config()), "exceeded quota: jobs.batch")
    assert decision.status
    assert decision.status.phase is Phase.PENDING
    assert "exceeded quota" in decision.status.message
    assert conditions(decision.status)["Stalled"] == "True"
    assert decision.again_seconds


def test_what_the_job_controller_cannot_do_is_told() -> None:
    status = a_status(status=queued(), job=a_job_seen(), trouble="violates PodSecurity")
    assert "violates PodSecurity" in status.message


def test_the_same_look_twice_changes_nothing() -> None:
    seen = {"job": a_job_seen(), "pods": (a_pod(running=True),), "percent": 10}
    first = a_status(status=queued(), **seen)
    assert a_status(status=first, **seen) == first


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = a_status(now=100)
    second = a_status(status=first, job=a_job_seen(), pods=(a_pod(running=True),), now=130)
    assert {each.last_transition_time for each in second.conditions} == {at(100)}


def test_a_final_status_that_another_version_wrote_is_left_as_it_is() -> None:
    observed = an_observation()
    document = {
        "metadata": {"name": "red-circle", "uid": "uid-1"},
        "spec": the_spec(),
        "status": {
            "phase": "Succeeded",
            "requestHash": observed.resource.request_hash,
            "fromTheFuture": 1,
        },
    }
    strange = Observed(observe_resource(document), None, (), (), None, "", at(0))
    assert decide(strange, a_config()) == Decision(status=None)


def test_a_field_of_a_newer_crd_takes_nothing_away() -> None:
    spec = {"motionScale": 1.5}
    assert decided(spec=spec, status=succeeded()).status == succeeded()
    assert decided(spec=spec, status=running(), job=a_job_seen()).actions == ()


def test_a_foreign_job_of_any_form_is_told() -> None:
    foreign = {
        "metadata": {"name": JOB_NAME, "uid": "other"},
        "spec": {"template": {"spec": {"containers": [{"name": "busybox", "image": "b"}]}}},
    }
    status = a_status(job=observe_job(foreign))
    assert status.conditions[0].reason == "JobNameTaken"
    assert conditions(status)["Stalled"] == "True"


def test_what_a_queue_does_to_a_job_is_not_fought_with() -> None:
    decision = decided(status=queued(), job=a_job_seen(suspend=True))
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.QUEUED
    assert "suspended, by a queue or by hand" in decision.status.message


def test_attempts_outlive_a_refused_job() -> None:
    again = decided(status=running())
    refused = job_refused(an_observation(status=running()), again, "exceeded quota")
    assert refused.status
    assert [each.reason for each in refused.status.attempts] == [Reason.JOB_DELETED]
    later = decided(status=refused.status, now=500)
    assert later.status
    assert later.status.attempts == refused.status.attempts


def test_a_file_of_the_pod_is_no_init_media() -> None:
    decision = decided(spec={"initImage": "file:///etc/passwd"})
    assert decision.actions == ()
    assert decision.status
    assert decision.status.conditions[0].reason == Reason.INIT_MEDIA_REFUSED

"""The end of a Job: a video, or why there is none."""

from dataclasses import replace
from typing import Any

import pytest
from t2v_api.progress import Stage
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_api.result import GenerationFailure
from t2v_operator.core.decision import DeleteJob

from tests.unit.observations import (
    a_failure,
    a_job_seen,
    a_pod,
    a_result,
    a_status,
    at,
    conditions,
    decided,
    queued,
    reason_of,
    running,
    succeeded,
)

LOST = "the node was drained"


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


def test_what_the_model_did_not_use_is_told() -> None:
    spec = {"negativePrompt": "blurry", "guidanceScale": 1.0}
    cut = "prompt has 131 tokens; this model reads the first 77"
    status = a_status(
        spec=spec,
        job=a_job_seen(spec, complete=True),
        pods=(a_pod(exit_code=0, message=a_result(cut)),),
    )
    assert status.message == (
        f"video made in 12.3 s; negativePrompt has no effect with guidanceScale 1; {cut}"
    )


def test_a_job_that_ended_while_the_operator_was_away_is_recorded() -> None:
    never_seen_running = a_status(
        job=a_job_seen(complete=True), pods=(a_pod(exit_code=0, message=a_result()),)
    )
    assert never_seen_running.phase is Phase.SUCCEEDED
    assert never_seen_running.resolved


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param((), id="its pod is gone"),
        pytest.param((a_pod(exit_code=0, message="garbage"),), id="its record is garbage"),
    ],
)
def test_a_complete_job_is_a_video_though_nothing_tells_more_of_it(pods: tuple[Any, ...]) -> None:
    decision = decided(status=running(), job=a_job_seen(complete=True), pods=pods)
    status, whole = decision.status, succeeded()
    assert status
    assert status.phase is Phase.SUCCEEDED
    assert (status.output_url, status.output) == (whole.output_url, whole.output)
    assert status.resolved == whole.resolved
    assert status.completion_time
    assert status.video is None
    for field in ("video", "timings", "generationTime"):
        assert f"'{field}'" in status.message
    assert conditions(status) == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}


def test_a_pod_that_the_cache_lacks_is_asked_for_before_a_record_is_called_lost() -> None:
    gone = decided(status=running(), job=a_job_seen(complete=True))
    assert gone.must_be_confirmed
    there = decided(
        status=running(),
        job=a_job_seen(complete=True),
        pods=(a_pod(exit_code=0, message="garbage"),),
    )
    assert not there.must_be_confirmed


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
    ],
)
def test_a_failed_job_has_a_reason(
    job: Any, pods: tuple[Any, ...], reason: Reason, said: str
) -> None:
    spec = {"activeDeadlineSeconds": 60} if reason is Reason.DEADLINE_EXCEEDED else {}
    decision = decided(spec=spec, status=running(), job=job, pods=pods)
    status = decision.status
    assert status
    assert status.phase is Phase.FAILED
    assert reason_of(status) == reason
    assert said in status.message
    assert conditions(status) == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert status.completion_time
    assert decision.must_be_confirmed, "a pod that the cache lacks may tell otherwise"


def evicted(times: int, **spec: Any) -> TextToVideoJobStatus:
    """The status after so many evictions, each pod gone before the next came."""
    status = queued(spec=spec)
    for number in range(times):
        pod = a_pod(f"pod-{number}", phase="Failed", disrupted=LOST, made=60 * number)
        status = a_status(
            spec=spec, status=status, job=a_job_seen(spec), pods=(pod,), now=60 * number + 1
        )
    return status


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [({}, 10), ({"maxDisruptions": 3}, 3), ({"maxDisruptions": 0}, 0)],
    ids=["ten by default", "three", "none at all"],
)
def test_a_video_whose_pod_is_taken_away_too_often_has_failed(
    spec: dict[str, Any], allowed: int
) -> None:
    status = evicted(allowed, **spec)
    assert status.phase is Phase.QUEUED
    assert status.disruptions == allowed
    job = a_job_seen(spec)
    last = decided(
        spec=spec,
        status=status,
        job=job,
        pods=(a_pod("last", phase="Failed", disrupted=LOST, made=5000),),
        now=5001,
    )
    assert last.status
    assert (last.status.phase, reason_of(last.status)) == (Phase.FAILED, Reason.DISRUPTED)
    assert f"maxDisruptions is {allowed}" in last.status.message
    assert LOST in last.status.message
    assert last.must_be_confirmed
    assert (last.actions, last.again_seconds) == ((), 0)
    then = decided(spec=spec, status=last.status, job=job)
    assert then.actions == (DeleteJob(job.name, job.uid),), "the Job itself would go on for ever"
    after = decided(spec=spec, status=last.status, job=a_job_seen(spec, deleting=True))
    assert (after.actions, after.status) == ((), last.status)


def test_disruptions_are_no_attempts_of_the_backoff_limit() -> None:
    status = evicted(5, backoffLimit=0)
    assert status.phase is Phase.QUEUED


def test_evictions_without_end_do_not_make_the_status_grow_without_end() -> None:
    spec = {"maxDisruptions": 1000}
    few, many = evicted(12, **spec), evicted(60, **spec)
    assert len(many.attempts) == 10
    assert (many.attempt_count, many.disruptions) == (60, 60)
    assert [each.pod_name for each in many.attempts] == [f"pod-{n}" for n in range(50, 60)]
    assert len(many.json_line()) < len(few.json_line()) + 100


@pytest.mark.parametrize(
    "job",
    [
        pytest.param({"failure": ("DeadlineExceeded", "too late")}, id="its deadline came"),
        pytest.param({"failure": ("BackoffLimitExceeded", "")}, id="its pod was killed after it"),
        pytest.param({"is_complete": True}, id="its pod is gone"),
    ],
)
def test_a_result_that_was_handed_in_is_a_video_whatever_follows(
    job: dict[str, Any],
) -> None:
    seen = replace(a_job_seen(), handed_in=a_result(), finished=at(90), **job)
    status = decided(job=seen, status=running()).status
    assert status
    assert (status.phase, status.video is not None) == (Phase.SUCCEEDED, True)
    assert status.completion_time == at(90)


@pytest.mark.parametrize("spec", [{}, {"suspend": True}], ids=["by a queue", "by its resource"])
def test_what_was_made_as_its_job_was_suspended_is_a_video(spec: dict[str, Any]) -> None:
    """The pod was taken away as it handed in its record: the Job does not count it."""
    job = replace(a_job_seen(), suspended=True, queue="films")
    pod = a_pod(exit_code=143, message=a_result())
    decision = decided(spec=spec, job=job, pods=(pod,), status=running())
    assert decision.status
    assert (decision.status.phase, decision.status.video is not None) == (Phase.SUCCEEDED, True)
    still = decided(spec=spec, job=job, pods=(pod, a_pod("pod-2", running=True))).status
    assert still is None or still.phase is not Phase.SUCCEEDED


def test_a_failure_that_was_handed_in_is_told_where_no_pod_is_left() -> None:
    record = GenerationFailure(
        reason=Reason.OUT_OF_MEMORY, message="fewer frames", stage=Stage.DECODE
    )
    failure = ("BackoffLimitExceeded", "")
    seen = replace(a_job_seen(), handed_in=record.json_line(), failure=failure)
    status = decided(job=seen).status
    assert status
    assert status.conditions[0].reason == Reason.OUT_OF_MEMORY

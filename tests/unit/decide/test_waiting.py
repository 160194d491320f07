"""A Job that is neither finished nor gone: what it does, or what it waits for."""

from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase

from tests.unit.observations import (
    a_failure,
    a_job_seen,
    a_pod,
    a_result,
    a_status,
    at,
    decided,
    queued,
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


def test_an_evicted_pod_is_an_attempt_with_its_reason() -> None:
    status = a_status(
        status=running(),
        job=a_job_seen(),
        pods=(a_pod(exit_code=143, disrupted="preempted by a more important pod"),),
    )
    assert status.attempts[0].reason is Reason.DISRUPTED
    assert "preempted" in status.attempts[0].message


def test_what_the_job_controller_cannot_do_is_told() -> None:
    status = a_status(status=queued(), job=a_job_seen(), complaint="violates PodSecurity")
    assert "violates PodSecurity" in status.message


def test_the_same_look_twice_changes_nothing() -> None:
    seen = {"job": a_job_seen(), "pods": (a_pod(running=True),), "percent": 10}
    first = a_status(status=queued(), **seen)
    assert a_status(status=first, **seen) == first


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = a_status(now=100)
    second = a_status(status=first, job=a_job_seen(), pods=(a_pod(running=True),), now=130)
    assert {each.last_transition_time for each in second.conditions} == {at(100)}

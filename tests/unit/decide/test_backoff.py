"""What is tried again, by whom, and when the next attempt is due."""

from typing import Any

import pytest
from t2v_api.reasons import EXIT_CODES, ExitCode, Reason
from t2v_api.resource import Phase
from t2v_operator.core.backoff import MOST_SECONDS, MOST_SECONDS_IN_POD

from tests.unit.observations import (
    a_failure,
    a_job_seen,
    a_manifest,
    a_pod,
    a_status,
    at,
    queued,
    running,
)

FAULT = a_failure(Reason.RUNNER_FAULT)
HOPELESS = {
    *(Reason.INVALID_SPEC, Reason.MODEL_NOT_FOUND, Reason.INVALID_REQUEST),
    *(Reason.SCHEDULER_NOT_SUPPORTED, Reason.INIT_MEDIA_NOT_SUPPORTED, Reason.INIT_MEDIA_REFUSED),
    *(Reason.WEBHOOK_REFUSED, Reason.POOL_NEEDS_KEY, Reason.KEY_REFUSED),
    *(Reason.MODEL_NOT_LOADABLE, Reason.OUT_OF_MEMORY),
}
"""Another attempt of the same kind would come to the same."""
ENDED = 50
"""When a pod of the tests ends, in seconds after it was made."""


@pytest.mark.parametrize("reason", Reason)
def test_only_what_another_attempt_may_mend_is_tried_again(reason: Reason) -> None:
    fails_at_once, ignored = a_manifest()["spec"]["podFailurePolicy"]["rules"]
    assert fails_at_once["action"] == "FailJob"
    codes = fails_at_once["onExitCodes"]["values"]
    assert (EXIT_CODES[reason] in codes) == (reason in HOPELESS)
    assert ExitCode.STORAGE_OR_NETWORK not in codes
    assert ignored == {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }


def failed_pods(count: int) -> tuple[Any, ...]:
    """One after the other, each a hundred seconds after the one before."""
    return tuple(
        a_pod(f"pod-{number}", exit_code=1, message=FAULT, made=100 * number)
        for number in range(count)
    )


@pytest.mark.parametrize(("failures", "pause"), [(1, 10), (2, 20), (3, 40), (8, MOST_SECONDS)])
def test_the_status_says_when_another_pod_follows(failures: int, pause: float) -> None:
    pods = failed_pods(failures)
    status = a_status(status=queued(), job=a_job_seen(), pods=pods, now=1000)
    assert status.phase is Phase.QUEUED
    assert status.next_attempt_time == at(100 * (failures - 1) + ENDED + pause)
    again = a_status(status=status, job=a_job_seen(), pods=pods, now=2000)
    assert again == status, "it is no news that time passes"


@pytest.mark.parametrize(("restarts", "pause"), [(0, 10), (2, 40), (9, MOST_SECONDS_IN_POD)])
def test_and_when_the_runner_is_started_again_in_its_pod(restarts: int, pause: float) -> None:
    waits = a_pod(
        waiting="CrashLoopBackOff",
        earlier=(5, a_failure(Reason.STORAGE_FAILED)),
        phase="Running",
        made=60,
        restarts=restarts,
    )
    status = a_status(status=running(), job=a_job_seen(), pods=(waits,))
    assert status.next_attempt_time == at(ENDED + pause)


def test_once_the_next_pod_is_there_nothing_is_due() -> None:
    before = a_status(status=queued(), job=a_job_seen(), pods=failed_pods(1))
    assert before.next_attempt_time
    for pod in (a_pod("pod-9", unschedulable="no GPU", made=70), a_pod("pod-9", running=True)):
        after = a_status(status=before, job=a_job_seen(), pods=(*failed_pods(1), pod))
        assert after.next_attempt_time is None


def test_nor_before_the_first_or_after_the_last() -> None:
    assert a_status(status=queued(), job=a_job_seen()).next_attempt_time is None
    last = a_job_seen(failed="BackoffLimitExceeded")
    status = a_status(status=queued(), job=last, pods=failed_pods(3))
    assert (status.phase, status.next_attempt_time) == (Phase.FAILED, None)


@pytest.mark.parametrize("words", ["PreemptionByScheduler", "PreemptionByKubeScheduler"])
def test_a_preempted_run_says_so_and_counts_as_a_disruption(words: str) -> None:
    message = a_failure(Reason.STOPPED)
    pod = a_pod(
        exit_code=143, message=message, disrupted="for a more urgent pod", disruption_reason=words
    )
    status = a_status(status=running(), job=a_job_seen(), pods=(pod,))
    assert status.phase is Phase.QUEUED
    assert status.disruptions == 1
    (attempt,) = status.attempts
    assert (attempt.reason, attempt.message) == (Reason.PREEMPTED, "for a more urgent pod")
    assert "Preempted" in status.message
    spec = {"maxDisruptions": 0}
    limited = a_status(spec=spec, status=running(), job=a_job_seen(spec), pods=(pod,))
    assert limited.phase is Phase.FAILED

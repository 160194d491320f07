"""API keys in decisions: what is refused, what is waited for, what goes on though a key is gone."""

from dataclasses import replace
from typing import Any

from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decision import CreateJob, Decision, DeleteJob
from t2v_operator.core.job import build_job
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.observe import observe_job
from t2v_operator.core.observed import ObservedJob
from t2v_operator.core.request import resolve

from tests.unit.api_keys import FAST, ID, a_config_with_keys, a_key
from tests.unit.builders import a_resource
from tests.unit.observations import (
    JOB_NAME,
    UID,
    a_failure,
    a_job_seen,
    a_pod,
    a_status,
    at,
    conditions,
    decided,
    queued,
    reason_of,
    running,
    text,
    the_spec,
)

REFERENCE = {"keySecretRef": {"name": "alice"}}
REVOKED = KeyProblem(Reason.KEY_REFUSED, "the API key 0123456789ab is not known here")
MISSING = KeyProblem(Waiting.KEY_NOT_AVAILABLE, "'key' of Secret alice is not there")
UNREAD = KeyProblem(Waiting.NOT_ANSWERED, "the API key cannot be read")


def with_keys(**observation: Any) -> Decision:
    return decided(a_config_with_keys(), **{"spec": REFERENCE, **observation})


def a_keyed_job(**job: Any) -> ObservedJob:
    return replace(a_job_seen(**job), key=ID)


def the_pool(decision: Decision) -> str:
    (created,) = decision.actions
    assert isinstance(created, CreateJob)
    return str(created.manifest["metadata"]["labels"]["textto.video/pool"])


def test_a_key_decides_the_pool() -> None:
    assert the_pool(with_keys(key=a_key())) == "fast"
    assert the_pool(with_keys(key=a_key(pools=["slow"]))) == "slow"
    assert the_pool(with_keys(spec={})) == "slow"


def test_without_a_key_a_pool_that_requires_one_runs_nothing() -> None:
    decision = decided(a_config_with_keys(FAST))
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (Phase.FAILED, "PoolNeedsKey")
    assert decision.actions == ()
    assert decision.must_be_confirmed, "a key that was just changed may not be seen yet"


def test_a_key_that_is_refused_is_refused_after_a_look_at_the_api_server() -> None:
    decision = with_keys(key=REVOKED)
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (Phase.FAILED, "KeyRefused")
    assert decision.actions == ()
    assert decision.must_be_confirmed


def test_a_secret_that_is_missing_is_waited_for() -> None:
    decision = with_keys(key=MISSING)
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (
        Phase.PENDING,
        "KeyNotAvailable",
    )
    assert conditions(decision.status)["Stalled"] == "True"
    assert "Secret alice" in decision.status.message
    assert decision.again_seconds
    assert not decision.actions


def test_an_api_server_that_does_not_tell_the_key_is_waited_for() -> None:
    decision = with_keys(key=UNREAD)
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (Phase.PENDING, "NotAnswered")
    assert conditions(decision.status)["Stalled"] == "False"
    assert decision.again_seconds


def test_what_is_suspended_is_not_refused_yet() -> None:
    assert reason_of(with_keys(spec={**REFERENCE, "suspend": True}, key=REVOKED).status) == (
        "Suspended"
    )


def test_a_job_that_has_not_begun_fails_when_its_key_is_revoked() -> None:
    pod = a_pod(unschedulable="0/3 nodes are available")
    decision = with_keys(status=queued(), job=a_keyed_job(), pods=(pod,), key=REVOKED)
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (Phase.FAILED, "KeyRefused")
    assert decision.must_be_confirmed
    then = with_keys(status=decision.status, job=a_keyed_job(), pods=(pod,), key=None)
    (removed,) = then.actions
    assert isinstance(removed, DeleteJob)


def test_a_job_that_has_begun_goes_on_when_its_key_is_revoked() -> None:
    decision = with_keys(
        status=running(), job=a_keyed_job(), pods=(a_pod(running=True),), key=REVOKED
    )
    assert decision.status
    assert decision.status.phase is Phase.RUNNING
    between = with_keys(status=running(), job=a_keyed_job(), key=REVOKED)
    assert between.status
    assert between.status.phase is not Phase.FAILED, "its next attempt belongs to it"


def test_a_finished_video_does_not_need_its_key_any_more() -> None:
    done = (a_pod(exit_code=4, message=a_failure(Reason.OUT_OF_MEMORY)),)
    status = a_status(status=running(), job=a_job_seen(failed="PodFailurePolicy"), pods=done)
    decision = with_keys(status=status, key=REVOKED)
    assert reason_of(decision.status) == "OutOfMemory"


def test_a_revoked_key_makes_no_other_job_in_a_larger_pool() -> None:
    sized = ({**FAST, "gpuMemory": "24Gi"}, {"name": "large", "gpuMemory": "80Gi"})
    keyed = a_config_with_keys(*sized).document()
    keyed["models"][0]["resources"] = {"gpus": 1, "memory": "4Gi"}
    config = OperatorConfig.parse(keyed)
    made = build_job(resolve(a_resource(**the_spec(**REFERENCE)), config, key=a_key()), config)
    made["metadata"] |= {"uid": f"job-{JOB_NAME}", "creationTimestamp": text(at(0))}
    made["metadata"]["ownerReferences"][0]["uid"] = UID
    failed = {"type": "Failed", "status": "True", "lastTransitionTime": text(at(60))}
    job = observe_job(made | {"status": {"conditions": [failed]}})
    pod = a_pod(exit_code=4, message=a_failure(Reason.OUT_OF_MEMORY), pool="fast")
    seen: dict[str, Any] = {"status": running(), "job": job, "pods": (pod,), "spec": REFERENCE}
    both = a_key(pools=["fast", "large"])
    assert reason_of(decided(config, **seen, key=both).status) == "LargerPool"
    assert reason_of(decided(config, **seen, key=REVOKED).status) == "OutOfMemory"
    assert reason_of(decided(config, **seen, key=a_key(pools=["fast"])).status) == "OutOfMemory"

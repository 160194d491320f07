"""What is decided about a VideoModel: whether it is ready, what fetches it, when it goes."""

from typing import Any

import pytest
from t2v_api.reasons import ModelReason, Reason
from t2v_operator.core.decision import CreateJob, DeleteJob, ReplacePod
from t2v_operator.core.models.decide import decide_model, wants_finalizer
from t2v_operator.core.models.situation import ModelDecision

from tests.unit.builders import a_config
from tests.unit.model_observations import (
    COMMIT,
    OTHER_COMMIT,
    SHA256,
    a_config_with_a_cache,
    a_model_document,
    a_prefetch_job,
    a_record,
    a_situation,
    ended,
    told,
)
from tests.unit.observations import a_failure, a_pod_document

FETCHED: dict[str, Any] = {
    "sources": "owner/name@main",
    "cache": "claim/models",
    "commit": COMMIT,
    "percent": 100,
    "bytes": 7,
}


def decided(**situation: Any) -> ModelDecision:
    return decide_model(a_situation(**situation))


def said(decision: ModelDecision) -> tuple[str, str]:
    """The reason, and the condition that holds."""
    assert decision.status
    (holds,) = (each for each in decision.status.conditions if each.status == "True")
    assert {each.reason for each in decision.status.conditions} == {holds.reason}
    return holds.reason, holds.type


def a_job_and_pod(**pod: Any) -> dict[str, Any]:
    job = a_prefetch_job()
    return {"jobs": [job], "pods": [a_pod_document(job_uid=job["metadata"]["uid"], **pod)]}


def done(conditions: list[dict[str, str]], **pod: Any) -> dict[str, Any]:
    job = a_prefetch_job(conditions=conditions)
    pods = [a_pod_document(job_uid=job["metadata"]["uid"], **pod)] if pod else []
    return {"jobs": [job], "pods": pods}


def words(decision: ModelDecision) -> str:
    assert decision.status
    return decision.status.message


@pytest.mark.parametrize(
    ("model", "reason", "message"),
    [
        ({"name": "tiny-shapes"}, ModelReason.NAME_TAKEN, "has a model tiny-shapes"),
        ({"limits": {"maxFrames": 1}}, ModelReason.INVALID_SPEC, "above the limit of 1"),
        ({"family": "Sora"}, ModelReason.INVALID_SPEC, "spec.family"),
        ({"prefetch": {"pools": ["defualt"]}}, ModelReason.INVALID_SPEC, "mean 'default'?"),
    ],
    ids=str,
)
def test_what_somebody_has_to_mend_is_stalled_with_words(
    model: dict[str, Any], reason: ModelReason, message: str
) -> None:
    decision = decided(model=a_model_document(**model))
    assert decision.actions == ()
    assert said(decision) == (reason, "Stalled")
    assert message in words(decision)


def test_a_prefetch_without_a_cache_is_stalled() -> None:
    decision = decided(config=a_config())
    assert said(decision) == (ModelReason.NO_MODEL_CACHE, "Stalled")


@pytest.mark.parametrize(
    ("source", "commit"),
    [
        ({"hub": "owner/name", "revision": COMMIT}, COMMIT),
        ({"hub": "owner/name", "revision": "main"}, None),
        ({"path": "tiny-shapes"}, None),
    ],
    ids=["a commit", "a branch", "a folder"],
)
def test_what_is_not_prefetched_is_ready_at_once(source: dict[str, Any], commit: str) -> None:
    decision = decided(model=a_model_document(source=source, prefetch=None), config=a_config())
    assert said(decision) == (ModelReason.AVAILABLE, "Ready")
    assert decision.status
    assert (decision.status.commit, decision.status.percent) == (commit, None)


def test_a_new_model_gets_the_job_that_fetches_it() -> None:
    decision = decided()
    (created,) = decision.actions
    assert isinstance(created, CreateJob)
    assert said(decision) == (ModelReason.PREFETCHING, "Reconciling")
    again = decided(jobs=[a_prefetch_job()])
    assert again.actions == (), "one is enough"


def test_its_percent_is_that_of_the_bytes() -> None:
    going = a_job_and_pod(running=True)
    status = decided(**going, progress=(12_150_000_000, 28_930_000_000)).status
    assert status
    assert (status.percent, status.bytes, status.total_bytes) == (
        41,
        12_150_000_000,
        28_930_000_000,
    )
    assert (status.eta_seconds, status.message) == (90.0, "41 % of 28.93 GB is there")
    assert [(pool.name, pool.ready) for pool in status.pools] == [("default", False)]


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        ({"running": True}, "pod pod-1 runs, and has not told yet how far it is"),
        ({"unschedulable": "no node"}, "pod pod-1 waits: no node"),
        (
            {"exit_code": 5, "message": a_failure(Reason.STORAGE_FAILED)},
            "the last attempt failed (StorageFailed: in the runner's words); another follows",
        ),
    ],
    ids=["it runs", "it waits", "between two attempts"],
)
def test_what_its_pod_does_is_told(pod: dict[str, Any], message: str) -> None:
    decision = decided(**a_job_and_pod(**pod))
    assert said(decision) == (ModelReason.PREFETCHING, "Reconciling")
    assert words(decision) == message


def test_what_came_makes_it_ready_with_the_commit_of_its_branch() -> None:
    decision = decided(**done(ended("Complete"), exit_code=0, message=a_record()))
    assert decision.actions == ()
    assert said(decision) == (ModelReason.AVAILABLE, "Ready")
    status = decision.status
    assert status
    assert (status.commit, status.sha256, status.bytes) == (COMMIT, SHA256, 28_930_000_000)
    later = decided(model=a_model_document(status=status), now=9_999)
    assert later.status == status, "though its Job is gone"
    assert later.actions == ()


def test_a_record_that_is_lost_with_its_pod_is_asked_for_by_another_job() -> None:
    gone = done(ended("Complete", since=60))
    patient = decided(**gone, now=100)
    assert patient.actions == (), "the pod's watch may be behind"
    assert patient.again_seconds == 20
    name = a_prefetch_job()["metadata"]["name"]
    assert decided(**gone, now=200).actions == (DeleteJob(name, f"uid-of-{name}"),)


def test_a_job_that_leaves_no_record_is_not_made_again_for_ever() -> None:
    decision = decided(**done(ended("Complete"), exit_code=0, message="hello"), now=200)
    assert decision.actions == ()
    assert said(decision) == (ModelReason.PREFETCH_FAILED, "Stalled")
    assert "may be of another version" in words(decision)


def test_a_pod_of_a_lost_node_is_replaced() -> None:
    """Its Job would wait for its end for ever."""
    silent = a_job_and_pod(not_ready_since=60)
    waits = decided(**silent, progress=(1, 2), now=100)
    assert (waits.actions, waits.again_seconds) == ((), 260)
    assert said(waits) == (ModelReason.PREFETCHING, "Reconciling")
    assert "has not answered since 12:01:00Z; pod pod-1 is given up" in words(waits)
    given_up = decided(**silent, now=360)
    assert given_up.actions == (ReplacePod("pod-1", "uid-of-pod-1"),)
    evicted = decided(**a_job_and_pod(running=True, gone_by=60), now=400)
    assert evicted.actions == given_up.actions
    over = done(ended("Failed"), exit_code=3, message=a_failure(Reason.MODEL_NOT_LOADABLE))
    assert decided(**over, now=400).actions == ()


@pytest.mark.parametrize(
    ("job", "goes"),
    [
        (a_job_and_pod(unschedulable="no such image"), True),
        (done(ended("Failed"), exit_code=3, message=a_failure(Reason.MODEL_NOT_LOADABLE)), True),
        ({"jobs": [a_prefetch_job()]}, True),
        (a_job_and_pod(running=True), False),
        (done(ended("Complete"), exit_code=0, message=a_record()), False),
    ],
    ids=["its pod waits", "it failed", "without a pod", "it fetches", "it has fetched"],
)
@pytest.mark.parametrize(
    "changed",
    [
        {"runner": {"image": "registry/runner:mended"}},
        {"pools": [{"name": "default", "nodeSelector": {"gpu": "h100"}}]},
        {"podTemplatePatch": {"metadata": {"labels": {"proxy": "on"}}}},
    ],
    ids=["image", "pool", "patch"],
)
def test_a_job_that_came_to_nothing_is_made_anew_as_the_configuration_is_now(
    job: dict[str, Any], goes: bool, changed: dict[str, Any]
) -> None:
    same = decided(**job)
    assert same.actions == ()
    decision = decided(**job, config=a_config_with_a_cache(**changed))
    name = a_prefetch_job()["metadata"]["name"]
    assert decision.actions == ((DeleteJob(name, f"uid-of-{name}"),) if goes else ())
    if goes:
        assert said(decision) == (ModelReason.PREFETCHING, "Reconciling")
        assert "the configuration has changed since" in words(decision)


def test_a_job_that_gets_no_pod_says_where_the_reason_stands() -> None:
    made = decided(jobs=[a_prefetch_job()], now=10)
    assert (words(made), made.again_seconds) == ("the Job controller is making the pod", 50)
    stuck = decided(jobs=[a_prefetch_job()], now=61)
    assert said(stuck) == (ModelReason.PREFETCHING, "Reconciling")
    assert "makes no pod of prefetch-tiny-hub-" in words(stuck)
    assert "a Pod Security Standard that forbids hostPath" in words(stuck)


def test_a_fetch_that_failed_for_good_is_stalled_in_the_runners_words() -> None:
    licence = a_failure(Reason.MODEL_NOT_LOADABLE, "401: accept the licence at https://hub/x")
    decision = decided(**done(ended("Failed", "PodFailurePolicy"), exit_code=3, message=licence))
    assert said(decision) == (ModelReason.PREFETCH_FAILED, "Stalled")
    assert words(decision).startswith("401: accept the licence at https://hub/x; to try again")
    no_pod = decided(**done(ended("Failed", "BackoffLimitExceeded")))
    assert words(no_pod).startswith("BackoffLimitExceeded: in the Job's words")


def test_another_revision_is_fetched_anew_and_the_earlier_job_goes() -> None:
    earlier = a_prefetch_job()
    edited = a_model_document(revision="v2", generation=2, status=told(True, **FETCHED))
    decision = decided(model=edited, jobs=[earlier])
    removed, created = decision.actions
    assert removed == DeleteJob(earlier["metadata"]["name"], earlier["metadata"]["uid"])
    assert isinstance(created, CreateJob)
    assert decision.status
    assert decision.status.observed_generation == 2
    assert decision.status.commit == COMMIT, "of what was fetched last"
    back = a_model_document(generation=3, status=decision.status)
    again = decided(model=back)
    assert said(again) == (ModelReason.AVAILABLE, "Ready"), "what is there need not come twice"
    assert again.actions == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"motionAdapter": {"hub": "owner/motion", "revision": OTHER_COMMIT}},
        {"prefetch": None},
    ],
    ids=["another motion adapter", "no prefetch"],
)
def test_what_is_wanted_no_more_is_not_fetched_on(changed: dict[str, Any]) -> None:
    decision = decided(model=a_model_document(generation=2, **changed), jobs=[a_prefetch_job()])
    assert isinstance(decision.actions[0], DeleteJob)


def test_new_defaults_fetch_nothing() -> None:
    description = "for people"
    edited = a_model_document(description=description, generation=2, status=told(True, **FETCHED))
    decision = decided(model=edited)
    assert (decision.actions, said(decision)) == ((), (ModelReason.AVAILABLE, "Ready"))


def test_another_cache_has_to_be_filled() -> None:
    other = a_config_with_a_cache(modelCache={"kind": "claim", "claimName": "faster"})
    decision = decided(model=a_model_document(status=told(True, **FETCHED)), config=other)
    assert isinstance(decision.actions[0], CreateJob)


@pytest.mark.parametrize(
    ("model", "users", "wanted"),
    [
        ({}, (), False),
        ({}, ("a/b",), True),
        ({"finalizer": True}, (), False),
        ({"deleting": True, "finalizer": True}, ("a/b",), True),
        ({"deleting": True}, ("a/b",), False),
        ({"name": "tiny-shapes"}, ("a/b",), False),
    ],
    ids=["unused", "used", "no more used", "deleted, used", "too late", "the configuration's"],
)
def test_a_model_stays_as_long_as_a_job_draws_with_it(
    model: dict[str, Any], users: tuple[str, ...], wanted: bool
) -> None:
    assert wants_finalizer(a_situation(a_model_document(**model), users=users)) is wanted


def test_who_keeps_a_deleted_model_is_told() -> None:
    deleted = a_model_document(deleting=True, finalizer=True)
    decision = decided(model=deleted, users=[f"films/job-{number}" for number in range(7)])
    assert said(decision) == (ModelReason.IN_USE, "Reconciling")
    assert words(decision).endswith(
        "films/job-0, films/job-1, films/job-2, films/job-3, films/job-4 and 2 more"
    )
    assert decided(model=deleted) == ModelDecision(status=None)

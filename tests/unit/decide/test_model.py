"""Videos of VideoModels: they wait for what is not ready, and draw with the commit that is."""

import json
from typing import Any

import pytest
from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import CreateJob, Decision, DeleteJob
from t2v_operator.core.models.missing import Missed
from t2v_operator.core.models.missing import is_missed as is_missed_by
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.observe import observe_job
from t2v_operator.core.plan import read_plan

from tests.unit.builders import a_config
from tests.unit.model_observations import (
    COMMIT,
    MODEL,
    OTHER_COMMIT,
    a_config_with_a_cache,
    a_model,
    a_ready_model,
    ended,
    told,
)
from tests.unit.observations import (
    a_failure,
    a_pod,
    a_status,
    an_observation,
    at,
    decided,
    reason_of,
    text,
)

SPEC = {"modelId": MODEL}


def with_model(model: ObservedModel, **observation: Any) -> Decision:
    return decided(**{"spec": SPEC, "models": {model.name: model}, **observation})


def made(decision: Decision) -> CreateJob:
    (created,) = decision.actions
    assert isinstance(created, CreateJob)
    return created


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (a_model(), "VideoModel tiny-hub has not been looked at yet"),
        (
            a_model(status=told(False, message="42 %")),
            "VideoModel tiny-hub is on its way: 42 %",
        ),
        (
            a_model(status=told(False, stalled=True, message="no such branch")),
            "VideoModel tiny-hub cannot be used: no such branch",
        ),
        (a_ready_model(deleting=True), "VideoModel tiny-hub is being deleted"),
        (a_ready_model(generation=2), "VideoModel tiny-hub has not been looked at yet"),
    ],
    ids=["new", "on its way", "stalled", "being deleted", "changed since it was ready"],
)
def test_a_video_waits_for_a_model_that_is_not_ready(model: ObservedModel, message: str) -> None:
    decision = with_model(model)
    assert decision.actions == ()
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (
        Phase.PENDING,
        Waiting.MODEL_NOT_READY,
    )
    assert decision.status.message == message


def test_a_video_draws_with_the_commit_that_was_fetched() -> None:
    plan = read_plan(made(with_model(a_ready_model())).manifest)
    assert plan
    assert (plan.model_revision, plan.model_is_pinned) == (COMMIT, True)


def test_what_waited_gets_its_job_when_its_model_is_ready() -> None:
    waiting = with_model(a_model()).status
    assert made(with_model(a_ready_model(), status=waiting))


def test_a_job_that_goes_keeps_its_model_when_that_is_edited() -> None:
    """Its profile stands in its manifest."""
    manifest = made(with_model(a_ready_model())).manifest
    manifest["metadata"]["uid"] = "uid-of-the-job"
    going = with_model(a_model(generation=2), job=observe_job(manifest)).status
    assert going
    assert going.phase is Phase.QUEUED
    assert going.resolved
    assert going.resolved.model_revision == COMMIT


def test_another_commit_is_another_video() -> None:
    """Else the store would answer with a video of the old weights."""
    changed = a_model(revision=OTHER_COMMIT, prefetch=None, status=told(True, commit=OTHER_COMMIT))
    old, new = (made(with_model(each)).manifest for each in (a_ready_model(), changed))
    name = "textto.video/output-url"
    assert old["metadata"]["annotations"][name] != new["metadata"]["annotations"][name]


def test_a_model_that_nobody_knows_is_looked_for_once_more_before_it_is_refused() -> None:
    """A VideoModel that was applied just before may not have been seen yet."""
    decision = with_model(a_model(), spec={"modelId": "other"})
    assert decision.must_be_confirmed
    assert decision.status
    assert reason_of(decision.status) == Reason.MODEL_NOT_FOUND
    assert decision.status.message.endswith("(known: tiny-hub, tiny-shapes)")


def test_the_configurations_model_goes_before_a_resource_of_its_name() -> None:
    resource = a_model(name="tiny-shapes")
    decision = decide(an_observation(models={resource.name: resource}), a_config())
    environment = made(decision).manifest["spec"]["template"]["spec"]["containers"][0]["env"]
    (model,) = (each["value"] for each in environment if each["name"] == "T2V_MODEL")
    assert json.loads(model)["source"] == {"path": "tiny-shapes"}


def test_the_job_of_a_prefetched_model_reads_the_cache_and_fetches_nothing() -> None:
    observed = an_observation(spec=SPEC, models={MODEL: a_ready_model()})
    pod = made(decide(observed, a_config_with_a_cache())).manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["T2V_MODELS_READ_ONLY"] == "1"
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "models")
    assert mount == {"name": "models", "mountPath": "/cache", "readOnly": True}
    claim = {"claimName": "models", "readOnly": True}
    assert {"name": "models", "persistentVolumeClaim": claim} in pod["volumes"]


def test_other_models_have_nothing_of_the_cache() -> None:
    observed = an_observation(spec=SPEC, models={MODEL: a_ready_model(prefetch=None)})
    pod = made(decide(observed, a_config_with_a_cache())).manifest["spec"]["template"]["spec"]
    assert "models" not in [each["name"] for each in pod["volumes"]]


def in_vain(
    model: ObservedModel | None = None, tries: int = 1, failed: str = "", **spec: Any
) -> Decision:
    """What follows when the latest pod of a video's Job did not find its model in the cache."""
    model = model or a_ready_model()
    manifest = made(with_model(a_ready_model())).manifest
    ends = {"Failed": failed} if failed else {}
    manifest["metadata"] |= {"uid": "uid-of-the-job", "creationTimestamp": text(at(0))}
    manifest["status"] = {
        "conditions": [each for kind, why in ends.items() for each in ended(kind, why)]
    }
    message = a_failure(Reason.MODEL_NOT_IN_CACHE, "it is not in the cache")
    pods = tuple(
        a_pod(f"pod-{n}", job_uid="uid-of-the-job", exit_code=1, message=message, made=n * 60)
        for n in range(tries)
    )
    job = observe_job(manifest)
    return with_model(
        model,
        spec={**SPEC, **spec},
        status=a_status(models={MODEL: a_ready_model()}, spec={**SPEC, **spec}),
        job=job,
        pods=pods,
    )


def test_a_job_whose_pod_did_not_find_its_model_goes_and_the_video_waits() -> None:
    decision = in_vain()
    assert [type(each) for each in decision.actions] == [DeleteJob]
    assert decision.must_be_confirmed
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (
        Phase.PENDING,
        Waiting.MODEL_NOT_READY,
    )
    assert [each.reason for each in decision.status.attempts] == [Reason.MODEL_NOT_IN_CACHE]


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        ({"tries": 4, "failed": "BackoffLimitExceeded"}, Reason.MODEL_NOT_IN_CACHE),
        (
            {"tries": 2, "backoffLimit": 0, "failed": "BackoffLimitExceeded"},
            Reason.MODEL_NOT_IN_CACHE,
        ),
        ({"failed": "DeadlineExceeded"}, Reason.DEADLINE_EXCEEDED),
    ],
    ids=["too often", "more often than backoffLimit says, but once", "too late"],
)
def test_a_model_that_never_comes_fails_the_video(video: dict[str, Any], reason: Reason) -> None:
    decision = in_vain(**video)
    assert decision.status
    assert (decision.status.phase, reason_of(decision.status)) == (Phase.FAILED, reason)


def test_a_job_that_may_be_tried_once_is_made_again_once() -> None:
    decision = in_vain(failed="BackoffLimitExceeded", backoffLimit=0)
    assert [type(each) for each in decision.actions] == [DeleteJob]


def fetched(since: float, **status: Any) -> ObservedModel:
    """A ready model that was fetched then."""
    at_main = {"sources": "owner/name@main", "commit": COMMIT, "fetchedTime": text(at(since))}
    return a_model(status=told(True, **at_main, **status))


@pytest.mark.parametrize(
    ("model", "is_missed"),
    [
        (fetched(0), True),
        (fetched(30), False),
        (fetched(0, missingTime=text(at(-60)), fetchedBytes=0), False),
        (fetched(-4000, missingTime=text(at(-5000)), fetchedBytes=0), True),
        (fetched(0, missingTime=text(at(-60)), fetchedBytes=7), True),
        (a_ready_model(revision=OTHER_COMMIT, prefetch=None), False),
    ],
    ids=[
        "it began after the fetch",
        "it began before the fetch was done",
        "all of it was there when it was fetched again for that",
        "that is an hour ago",
        "some of it had gone",
        "a model that each Job fetches",
    ],
)
def test_what_a_pod_did_not_find_is_believed_where_it_can_be_so(
    model: ObservedModel, is_missed: bool
) -> None:
    began = Missed(COMMIT, at(2))
    assert is_missed_by(model, began) is is_missed
    assert not is_missed_by(model, Missed(OTHER_COMMIT, at(2))), "of another commit"
    assert bool(in_vain(model).actions) is is_missed

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
from t2v_operator.core.observe import observe_job, observe_pod
from t2v_operator.core.plan import read_plan

from tests.unit.builders import a_config
from tests.unit.model_observations import (
    COMMIT,
    MODEL,
    OTHER_COMMIT,
    a_config_on_nodes,
    a_config_with_a_cache,
    a_model,
    a_ready_model,
    ended,
    told,
)
from tests.unit.observations import (
    a_failure,
    a_pod,
    a_pod_document,
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


@pytest.mark.parametrize("other", [None, {"kind": "claim", "claimName": "faster"}])
def test_a_model_is_not_looked_for_in_a_cache_that_it_was_not_fetched_into(other: Any) -> None:
    """After a change of the configuration videos may be looked at before their model is."""
    fetched = told(True, sources="owner/name@main", commit=COMMIT, cache="claim/models")
    observed = an_observation(spec=SPEC, models={MODEL: a_model(status=fetched)})
    assert made(decide(observed, a_config_with_a_cache()))
    config = a_config_with_a_cache(modelCache=other) if other else a_config()
    decision = decide(observed, config)
    assert decision.actions == ()
    assert decision.status
    assert reason_of(decision.status) == Waiting.MODEL_NOT_READY
    assert decision.status.message == "VideoModel tiny-hub has not been looked at yet"


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


POOLS = [{"name": "small"}, {"name": "large"}, {"name": "other"}]


def on_nodes(*nodes: tuple[str, bool], **model: Any) -> ObservedModel:
    """A model that is ready, and on these nodes or not."""
    entries = [{"name": name, "uid": f"uid-{name}", "ready": ready} for name, ready in nodes]
    status = told(True, sources="owner/name@main", commit=COMMIT, nodes=entries)
    return a_model(status=status, **model)


def the_pod_on_nodes(model: ObservedModel, **spec: Any) -> dict[str, Any]:
    observed = an_observation(spec=SPEC | spec, models={MODEL: model})
    manifest = made(decide(observed, a_config_on_nodes(pools=POOLS))).manifest
    pod: dict[str, Any] = manifest["spec"]["template"]
    return pod


def test_a_job_reads_the_folder_of_its_node_and_waits_for_what_is_to_come_there() -> None:
    model = on_nodes(("gpu-1", True), prefetch={"pools": ["small"]})
    pod = the_pod_on_nodes(model)["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["T2V_MODELS_READ_ONLY"] == "1"
    assert environment["T2V_MODELS_WAIT_SECONDS"] == "1800"
    folder = {"path": "/var/lib/models", "type": "Directory"}
    assert {"name": "models", "hostPath": folder} in pod["volumes"]
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "models")
    assert mount == {"name": "models", "mountPath": "/cache", "readOnly": True}
    assert "affinity" not in pod, "every node has it"


def test_a_job_rather_goes_where_its_model_is() -> None:
    model = on_nodes(("gpu-1", True), ("gpu-2", False), ("gpu-3", False))
    affinity = the_pod_on_nodes(model)["spec"]["affinity"]["nodeAffinity"]
    assert list(affinity) == ["preferredDuringSchedulingIgnoredDuringExecution"], "no must"
    ((only,),) = affinity.values()
    assert only["preference"]["matchFields"] == [
        {"key": "metadata.name", "operator": "NotIn", "values": [name]}
        for name in ("gpu-2", "gpu-3")
    ]


def test_a_job_names_a_limited_number_of_nodes() -> None:
    model = on_nodes(*((f"gpu-{number}", False) for number in range(500)), ("gpu-x", True))
    affinity = the_pod_on_nodes(model)["spec"]["affinity"]["nodeAffinity"]
    ((only,),) = affinity.values()
    assert len(only["preference"]["matchFields"]) == 100


def test_a_job_runs_in_a_pool_whose_nodes_have_its_model() -> None:
    model = on_nodes(("gpu-1", True), prefetch={"pools": ["large", "other"]})
    label = "textto.video/pool"
    assert the_pod_on_nodes(model)["metadata"]["labels"][label] == "large", "not the first of all"
    other = the_pod_on_nodes(model, pool="other")
    assert other["metadata"]["labels"][label] == "other"


def test_a_pool_whose_nodes_never_get_the_model_is_refused() -> None:
    model = on_nodes(("gpu-1", True), prefetch={"pools": ["large"]})
    observed = an_observation(spec=SPEC | {"pool": "small"}, models={MODEL: model})
    status = decide(observed, a_config_on_nodes(pools=POOLS)).status
    assert status
    assert reason_of(status) == Reason.INVALID_REQUEST
    assert status.message.startswith(
        "pool is 'small'; the model is fetched onto the nodes of large alone: choose one of them"
    )


def test_one_cache_for_all_serves_every_pool() -> None:
    config = a_config_with_a_cache(pools=POOLS)
    ready = a_ready_model(prefetch={"pools": ["large"]})
    observed = an_observation(spec=SPEC | {"pool": "small"}, models={MODEL: ready})
    assert made(decide(observed, config))


def lost_on_nodes(missed_on: str, *nodes: dict[str, Any], **job: Any) -> Decision:
    """What follows when the pod of a video's Job did not find its model on this node."""
    status = told(True, sources="owner/name@main", commit=COMMIT, nodes=list(nodes))
    model, config = a_model(status=status), a_config_on_nodes()
    drawn = an_observation(spec=SPEC, models={MODEL: model})
    manifest = made(decide(drawn, config)).manifest
    manifest["metadata"] |= {"uid": "uid-of-the-job", "creationTimestamp": text(at(0))}
    manifest["status"] = job
    message = a_failure(Reason.MODEL_NOT_IN_CACHE, "it is not in the cache")
    pod = a_pod_document(job_uid="uid-of-the-job", exit_code=1, message=message)
    pod["spec"]["nodeName"] = missed_on
    observed = an_observation(
        spec=SPEC,
        models={MODEL: model},
        status=a_status(models={MODEL: a_ready_model()}, spec=SPEC),
        job=observe_job(manifest),
        pods=(observe_pod(pod),),
    )
    return decide(observed, config)


def a_told_node(name: str, ready: bool = True, **times: float) -> dict[str, Any]:
    written = {key: text(at(since)) for key, since in times.items()}
    return {"name": name, "uid": f"uid-{name}", "ready": ready, **written}


OTHER_NODE = a_told_node("gpu-2", fetchedTime=0)


def test_a_job_goes_whose_model_is_not_on_its_node_any_more() -> None:
    decision = lost_on_nodes("gpu-1", a_told_node("gpu-1", fetchedTime=0), OTHER_NODE)
    assert [type(each) for each in decision.actions] == [DeleteJob]
    assert decision.status
    assert reason_of(decision.status) == Waiting.MODEL_NOT_READY
    assert decision.status.message.startswith("VideoModel tiny-hub was not on node gpu-1 any more")
    assert [each.node_name for each in decision.status.attempts] == ["gpu-1"]


@pytest.mark.parametrize(
    "node",
    [
        a_told_node("gpu-1", fetchedTime=30),
        a_told_node("gpu-1", ready=False),
        a_told_node("gpu-1", ready=False, fetchedTime=0, missingTime=1),
        a_told_node("gpu-3", fetchedTime=0),
    ],
    ids=["it came meanwhile", "it never had it", "that is known", "a node of no pool of these"],
)
def test_a_job_is_tried_again_where_nothing_new_is_known_of_its_node(node: dict[str, Any]) -> None:
    decision = lost_on_nodes("gpu-1", node, OTHER_NODE)
    assert decision.actions == ()
    ends = {"conditions": ended("Failed", "BackoffLimitExceeded")}
    over = lost_on_nodes("gpu-1", node, OTHER_NODE, **ends)
    assert [type(each) for each in over.actions] == [DeleteJob], "once more"


def test_a_video_waits_until_it_is_written_down_that_a_node_lost_its_model() -> None:
    gone = lost_on_nodes("gpu-1", a_told_node("gpu-1", fetchedTime=0), OTHER_NODE).status

    def again(*nodes: dict[str, Any]) -> Decision:
        status = told(True, sources="owner/name@main", commit=COMMIT, nodes=list(nodes))
        models = {MODEL: a_model(status=status)}
        return decide(an_observation(spec=SPEC, models=models, status=gone), a_config_on_nodes())

    assert again(a_told_node("gpu-1", fetchedTime=0), OTHER_NODE).actions == ()
    known = a_told_node("gpu-1", ready=False, fetchedTime=0, missingTime=2)
    pod = made(again(known, OTHER_NODE)).manifest["spec"]["template"]["spec"]
    assert "gpu-1" in str(pod["affinity"]), "rather elsewhere"
    assert made(again(a_told_node("gpu-1", fetchedTime=60, missingTime=2), OTHER_NODE))

"""Videos of VideoModels: they wait for what is not ready, and draw with the commit that is."""

import json
from typing import Any

import pytest
from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import CreateJob, Decision
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.observe import observe_job
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
    told,
)
from tests.unit.observations import an_observation, decided, reason_of

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

"""The Job that fetches a model."""

import json
from typing import Any

import pytest
from t2v_operator.core.models.prefetch_job import prefetch_job

from tests.unit.builders import a_config_with_a_store
from tests.unit.model_observations import (
    MODEL,
    a_config_with_a_cache,
    a_model,
    a_model_document,
    a_prefetch_job,
)

CACHE = {"kind": "claim", "claimName": "models"}
POOLS = [
    {"name": "small"},
    {"name": "large", "nodeSelector": {"gpu": "h100"}, "tolerations": [{"operator": "Exists"}]},
]


def the_pod(config: Any = None, **model: Any) -> dict[str, Any]:
    job = prefetch_job(a_model(**model), config or a_config_with_a_cache())
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def the_environment(pod: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in pod["containers"][0]["env"]}


def test_it_runs_restricted_and_asks_for_no_gpu() -> None:
    pod = the_pod(resources={"gpus": 1})
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}
    assert container["command"] == ["python", "-m", "t2v_runner.hub"]


def test_it_writes_the_cache_and_gets_the_profile_as_the_user_wrote_it() -> None:
    pod = the_pod()
    environment = the_environment(pod)
    profile = json.loads(environment["T2V_MODEL"]["value"])
    assert (profile["id"], profile["source"]["revision"]) == (MODEL, "main")
    assert environment["T2V_MODELS_CACHE"]["value"] == "/cache"
    assert "T2V_MODELS_READ_ONLY" not in environment
    claim = {"claimName": "models"}
    assert {"name": "models", "persistentVolumeClaim": claim} in pod["volumes"]
    assert {"name": "models", "mountPath": "/cache"} in pod["containers"][0]["volumeMounts"]


def test_the_token_comes_from_its_secret_and_stands_nowhere_else() -> None:
    pod = the_pod(tokenSecretRef={"name": "hub", "key": "token"})
    reference = {"secretKeyRef": {"name": "hub", "key": "token"}}
    assert the_environment(pod)["HF_TOKEN"] == {"name": "HF_TOKEN", "valueFrom": reference}
    assert "HF_TOKEN" not in the_environment(the_pod())


def test_it_runs_on_the_nodes_of_the_pool() -> None:
    pod = the_pod(a_config_with_a_cache(pools=POOLS), prefetch={"pools": ["large"]})
    assert pod["nodeSelector"] == {"gpu": "h100"}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert "nodeSelector" not in the_pod(a_config_with_a_cache(pools=POOLS))


def test_it_reports_where_there_is_a_report_server() -> None:
    pod = the_pod(a_config_with_a_store(modelCache=CACHE))
    assert the_environment(pod)["T2V_REPORT_URL"]["value"].startswith("https://report")
    assert "token" in [each["name"] for each in pod["volumes"]]


def test_a_patch_of_all_pods_reaches_it() -> None:
    mirror = {"name": "HF_ENDPOINT", "value": "https://hub.example.com"}
    patch = {"spec": {"containers": [{"name": "runner", "env": [mirror]}]}}
    environment = the_environment(the_pod(a_config_with_a_cache(podTemplatePatch=patch)))
    assert environment["HF_ENDPOINT"] == mirror


def test_a_cache_with_a_limit_makes_room_but_not_by_what_is_wanted() -> None:
    config = a_config_with_a_cache(size="500Gi")
    job = prefetch_job(a_model(), config, ("a--b/1", "c--d/2"))
    environment = the_environment(job["spec"]["template"]["spec"])
    assert environment["T2V_MODELS_CACHE_BYTES"]["value"] == str(500 * 2**30)
    assert environment["T2V_MODELS_IN_USE"]["value"] == "a--b/1,c--d/2"
    assert "T2V_MODELS_CACHE_BYTES" not in the_environment(the_pod())


def test_half_the_bytes_are_kept_where_that_is_asked_for() -> None:
    asked = the_environment(the_pod(prefetch={"convert": True}))
    assert asked["T2V_MODELS_CONVERT"]["value"] == "1"
    assert "T2V_MODELS_CONVERT" not in the_environment(the_pod())


@pytest.mark.parametrize(
    ("changed", "is_another"),
    [
        ({"revision": "v2"}, True),
        ({"tokenSecretRef": {"name": "hub"}}, True),
        ({"prefetch": {"convert": True}}, True),
        ({"description": "for people"}, False),
        ({"generation": 2}, False),
    ],
    ids=str,
)
def test_what_fetches_something_else_has_another_name(
    changed: dict[str, Any], is_another: bool
) -> None:
    name, other = (
        a_prefetch_job(a_model_document(**each))["metadata"]["name"] for each in ({}, changed)
    )
    assert (name != other) is is_another
    assert name.startswith("prefetch-tiny-hub-")


def test_it_goes_with_its_model() -> None:
    (owner,) = a_prefetch_job()["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("VideoModel", MODEL, True)

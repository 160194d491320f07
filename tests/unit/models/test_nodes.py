"""Which nodes a pool has."""

from typing import Any

import pytest
from t2v_operator.config import GpuPool
from t2v_operator.core.models.nodes import is_of_pool, observe_node, tolerations_of

from tests.unit.model_observations import a_node

TEAM = {"key": "team", "value": "films", "effect": "NoSchedule"}


def is_in(pool: dict[str, Any], needs_gpu: bool = True, **node: Any) -> bool:
    document = a_node("gpu-1", **node)
    return is_of_pool(observe_node(document), GpuPool.parse({"name": "a", **pool}), needs_gpu)


@pytest.mark.parametrize(
    ("pool", "node", "belongs"),
    [
        ({}, {}, True),
        ({"nodeSelector": {"gpu": "h100"}}, {"labels": {"gpu": "h100", "zone": "a"}}, True),
        ({"nodeSelector": {"gpu": "h100"}}, {"labels": {"gpu": "a10"}}, False),
        ({}, {"gpus": 0}, False),
        ({}, {"taints": [TEAM]}, False),
        ({"tolerations": [TEAM]}, {"taints": [TEAM]}, True),
        ({"tolerations": [TEAM | {"value": "other"}]}, {"taints": [TEAM]}, False),
        ({"tolerations": [TEAM | {"effect": "NoExecute"}]}, {"taints": [TEAM]}, False),
        ({"tolerations": [{"key": "team", "operator": "Exists"}]}, {"taints": [TEAM]}, True),
        ({"tolerations": [{"key": "other", "operator": "Exists"}]}, {"taints": [TEAM]}, False),
        ({"tolerations": [{"operator": "Exists"}]}, {"taints": [TEAM]}, True),
        ({"tolerations": [{"value": "films"}]}, {"taints": [TEAM]}, False),
        ({}, {"taints": [TEAM | {"effect": "PreferNoSchedule"}]}, True),
        ({}, {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}, True),
        (
            {},
            {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]},
            True,
        ),
    ],
    ids=[
        "any node with a GPU",
        "its label",
        "another label",
        "no GPU",
        "a taint",
        "a taint that is tolerated",
        "another value",
        "another effect",
        "whatever the value is",
        "another key",
        "whatever the taint is",
        "no key",
        "a taint that keeps nobody away",
        "the taint that pods with a GPU are let pass",
        "how it is just now",
    ],
)
def test_a_node_is_of_a_pool_where_its_videos_could_ever_run(
    pool: dict[str, Any], node: dict[str, Any], belongs: bool
) -> None:
    assert is_in(pool, **node) is belongs


def test_a_model_for_the_cpu_needs_no_gpu() -> None:
    assert is_in({}, needs_gpu=False, gpus=0)


@pytest.mark.parametrize(
    ("node", "takes"),
    [({}, True), ({"is_ready": False}, False), ({"is_cordoned": True}, False)],
    ids=["well", "not ready", "cordoned"],
)
def test_a_node_takes_pods_when_it_is_well(node: dict[str, Any], takes: bool) -> None:
    assert observe_node(a_node("gpu-1", **node)).takes_pods is takes


def test_a_node_that_says_little_is_known_as_far_as_it_does() -> None:
    bare = observe_node({"metadata": {"name": "new", "uid": "u"}})
    assert (bare.takes_pods, bare.resources, bare.taints) == (False, frozenset(), ())


def test_what_fetches_passes_where_pods_with_a_gpu_do() -> None:
    pool = GpuPool.parse({"name": "a", "gpuResource": "amd.com/gpu", "tolerations": [TEAM]})
    assert tolerations_of(pool) == [TEAM, {"key": "amd.com/gpu", "operator": "Exists"}]

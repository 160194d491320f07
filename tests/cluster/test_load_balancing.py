"""Forty videos at once on two pools, of one GPU and of three."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest
from harness.one_node import OneNodeCluster
from harness.simulated_nodes import SimulatedNodes, simulated_nodes
from harness.waiting import wait_until
from installation import Document, Installation, Workspace, a_manifest
from simulated_videos import RECORD, a_simulated_pool

RUN_SECONDS = 12.0
GPUS = {"one": 1, "three": 3}
VIDEOS = 40


def resource_of(pool: str) -> str:
    """Each pool has GPUs of a kind of its own."""
    return f"gpus.example.com/{pool}"


@pytest.fixture(scope="module")
def pools(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OneNodeCluster]:
    """Two pools on one simulated node, each of whose videos takes as long."""
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("simulated nodes need a one-node cluster of the harness")
    values = tmp_path_factory.mktemp("chart") / "values.json"
    configured = [
        a_simulated_pool(name, gpus=gpus, gpuResource=resource_of(name))
        for name, gpus in GPUS.items()
    ]
    record = json.loads(RECORD) | {"timings": {"denoise": RUN_SECONDS}}
    with (
        simulated_nodes(cluster, run_seconds=RUN_SECONDS, message=json.dumps(record)) as nodes,
        installation.configured(values, pools=configured),
    ):
        offer_gpus(nodes)
        yield cluster


def offer_gpus(nodes: SimulatedNodes) -> None:
    amounts = {resource_of(pool): str(gpus) for pool, gpus in GPUS.items()}
    patch = json.dumps({"status": {"capacity": amounts, "allocatable": amounts}})
    for name in nodes.names:
        nodes.cluster.kubectl(
            "patch", "node", name, "--subresource=status", "--type=merge", "-p", patch
        )


def apply_forty(workspace: Workspace, prefix: str, load_balancer: bool) -> list[str]:
    """At once. Returns their names when each has its Job."""
    names = [f"{prefix}-{number}" for number in range(VIDEOS)]
    workspace.apply(
        *(
            a_manifest(name, seed=seed, loadBalancer=load_balancer)
            for seed, name in enumerate(names)
        )
    )
    wait_until(lambda: len(jobs(workspace, prefix)) == VIDEOS, "all have a Job", 120)
    return names


def jobs(workspace: Workspace, prefix: str) -> list[Document]:
    listed = json.loads(workspace.kubectl("get", "jobs", "-o", "json"))["items"]
    return [each for each in listed if each["metadata"]["name"].startswith(f"{prefix}-")]


def spread(workspace: Workspace, prefix: str) -> Counter[str]:
    return Counter(
        job["metadata"]["labels"]["textto.video/pool"] for job in jobs(workspace, prefix)
    )


def remove(workspace: Workspace, names: list[str]) -> None:
    workspace.kubectl("delete", "t2v", *names)
    prefix = names[0].rpartition("-")[0]
    wait_until(lambda: not jobs(workspace, prefix), "their Jobs are gone", 120)


def test_with_the_load_balancer_they_spread_as_the_gpus_do_and_end_soon(
    pools: OneNodeCluster, workspace: Workspace
) -> None:
    names = apply_forty(workspace, "balanced", load_balancer=True)
    found = spread(workspace, "balanced")
    assert found["one"] == pytest.approx(VIDEOS / 4, rel=0.1)
    assert found["three"] == pytest.approx(VIDEOS * 3 / 4, rel=0.1)

    ideal = VIDEOS * RUN_SECONDS / 4
    statuses: list[Document] = []

    def all_have_ended() -> bool:
        listed = json.loads(workspace.kubectl("get", "t2v", *names, "-o", "json"))["items"]
        statuses[:] = [each["status"] for each in listed]
        return all(status.get("phase") in ("Succeeded", "Failed") for status in statuses)

    wait_until(all_have_ended, "all have ended", 2 * ideal)
    assert {status["phase"] for status in statuses} == {"Succeeded"}
    assert Counter(status["pool"] for status in statuses) == found
    began = min(datetime.fromisoformat(status["startTime"]) for status in statuses)
    ended = max(datetime.fromisoformat(status["completionTime"]) for status in statuses)
    assert (ended - began).total_seconds() <= 1.15 * ideal
    remove(workspace, names)


def test_without_it_all_are_in_the_first_pool(pools: OneNodeCluster, workspace: Workspace) -> None:
    names = apply_forty(workspace, "plain", load_balancer=False)
    assert spread(workspace, "plain") == {"one": VIDEOS}
    remove(workspace, names)

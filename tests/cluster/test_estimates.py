"""Forty videos on two simulated GPUs: how true the end is that each was told at half time."""

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from harness.cluster import GPU_RESOURCE
from harness.one_node import OneNodeCluster
from harness.simulated_nodes import simulated_nodes
from installation import Document, Installation, Workspace
from kueue import QUEUE, KueueInstallation
from simulated_videos import RECORD, a_simulated_manifest, a_simulated_pool, set_capacity

pytestmark = pytest.mark.skipif(
    os.environ.get("T2V_WHOLE") != "1",
    reason="how true an estimate is, only an idle machine can tell: `make estimates`",
)

VIDEOS, GPUS = 40, 2
LEAST_SECONDS, MOST_SECONDS = 20.0, 24.0
"""Of a video. Were all equal, two would end in the same moment each time, and two rounds of the
scheduler's tries would run into each other."""
SECONDS = (LEAST_SECONDS + MOST_SECONDS) / 2
WRONG_SHARE, RIGHT_AT_LEAST = 0.2, 36
TIMINGS = {"start": 0.5, "load": 1.5, "denoise": 19.0, "decode": 1.0}
"""Of each, as its record tells; together `SECONDS`."""

Told = dict[str, list[tuple[datetime, datetime]]]
"""By name: at what time which end was told."""


@pytest.fixture(scope="module")
def two_gpus(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KueueInstallation]:
    """A pool of two GPUs, and Kueue with as many, for the namespaces that it manages."""
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("simulated nodes need a one-node cluster of the harness")
    record = json.dumps(json.loads(RECORD) | {"timings": TIMINGS, "generationTime": SECONDS})
    pools = [{"name": "default"}, a_simulated_pool(gpus=GPUS)]
    options = {"pools": pools, "kueue": {"enabled": True}}
    values = tmp_path_factory.mktemp("chart") / "values.json"
    kueue = KueueInstallation(cluster)
    kueue.install(gpus=GPUS)
    try:
        with (
            simulated_nodes(
                cluster, run_seconds=LEAST_SECONDS, most_seconds=MOST_SECONDS, message=record
            ),
            installation.configured(values, **options),
        ):
            set_capacity(cluster, **{GPU_RESOURCE: str(GPUS)})
            yield kueue
    finally:
        kueue.uninstall()


def test_by_kubernetes_own_scheduler(two_gpus: KueueInstallation, workspace: Workspace) -> None:
    assert _right(workspace) >= RIGHT_AT_LEAST


def test_in_a_queue_of_kueue(two_gpus: KueueInstallation) -> None:
    queued = Workspace(two_gpus.cluster, "estimates-in-a-queue")
    two_gpus.manage(queued.namespace)
    queued.prepare_claims()
    try:
        assert _right(queued, queueName=QUEUE) >= RIGHT_AT_LEAST
    finally:
        queued.kubectl("delete", "t2v", "--all")
        queued.remove()


def _right(workspace: Workspace, **spec: str) -> int:
    """Of how many videos the end that was told at half time came nearly true."""
    # Of the model something has to be known.
    workspace.apply(a_simulated_manifest("before", seed=1000, **spec))
    workspace.wait_for_phase("before", "Succeeded")

    names = [f"estimated-{number}" for number in range(VIDEOS)]
    videos = [a_simulated_manifest(name, seed=seed, **spec) for seed, name in enumerate(names)]
    workspace.apply(*videos)
    told: Told = {name: [] for name in names}
    statuses = _watched(workspace, told)
    began = sorted(names, key=lambda name: statuses[name]["status"]["startTime"])
    print("in the order of their starts:", *(name.rpartition("-")[2] for name in began))
    mistakes = sorted(_mistake(statuses[name], told[name]) for name in names)
    print("mistakes:", [round(each, 2) for each in mistakes])
    workspace.kubectl("delete", "t2v", "before", *names)
    return sum(each <= WRONG_SHARE for each in mistakes)


def _watched(workspace: Workspace, told: Told) -> dict[str, Document]:
    """The resources once all have ended; what they told meanwhile goes into `told`."""
    deadline = time.monotonic() + 4 * VIDEOS * SECONDS / GPUS
    while time.monotonic() < deadline:
        listed = json.loads(workspace.kubectl("get", "t2v", "-o", "json"))["items"]
        now = datetime.now().astimezone()
        found = {each["metadata"]["name"]: each for each in listed}
        for name, ends in told.items():
            if end := found[name].get("status", {}).get("estimate", {}).get("completionTime"):
                ends.append((now, _time(end)))
        if all(found[name].get("status", {}).get("phase") == "Succeeded" for name in told):
            return found
        time.sleep(0.5)
    raise AssertionError({name: found[name].get("status", {}).get("phase") for name in told})


def _mistake(resource: Document, told: list[tuple[datetime, datetime]]) -> float:
    """Of the end that was told last by half time, as a share of the time from request to end."""
    asked = _time(resource["metadata"]["creationTimestamp"])
    ended = _time(resource["status"]["completionTime"])
    by_then = [end for when, end in told if when - asked <= (ended - asked) / 2]
    return abs((by_then[-1] - ended) / (ended - asked)) if by_then else 1.0


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

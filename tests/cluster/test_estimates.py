"""Forty videos on two simulated GPUs: how true the end is that each was told at half time."""

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from harness.cluster import GPU_RESOURCE
from harness.one_node import OneNodeCluster
from harness.simulated_nodes import NODE_SELECTOR, TOLERATION, simulated_nodes
from installation import SIMULATED, Document, Installation, Workspace
from simulated_videos import RECORD, a_simulated_manifest, set_capacity

pytestmark = pytest.mark.skipif(
    os.environ.get("T2V_WHOLE") != "1",
    reason="how true an estimate is, only an idle machine can tell: `make estimates`",
)

VIDEOS, GPUS, SECONDS = 40, 2, 8.0
WRONG_SHARE, RIGHT_AT_LEAST = 0.2, 36
TIMINGS = {"start": 0.5, "load": 1.5, "denoise": 5.0, "decode": 1.0}
"""Of each, as its record tells; together `SECONDS`."""

Told = dict[str, list[tuple[datetime, datetime]]]
"""By name: at what time which end was told."""


@pytest.fixture
def two_gpus(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("simulated nodes need a one-node cluster of the harness")
    record = json.dumps(json.loads(RECORD) | {"timings": TIMINGS, "generationTime": SECONDS})
    pool = {
        "name": SIMULATED,
        "gpus": GPUS,
        "nodeSelector": NODE_SELECTOR,
        "tolerations": [TOLERATION],
    }
    values = tmp_path_factory.mktemp("chart") / "values.json"
    with (
        simulated_nodes(cluster, run_seconds=SECONDS, message=record),
        installation.configured(values, pools=[{"name": "default"}, pool]),
    ):
        set_capacity(cluster, **{GPU_RESOURCE: str(GPUS)})
        yield


@pytest.mark.usefixtures("two_gpus")
def test_the_end_that_is_told_at_half_time_is_nearly_true(workspace: Workspace) -> None:
    # Of the model something has to be known.
    workspace.apply(a_simulated_manifest("before", seed=1000))
    workspace.wait_for_phase("before", "Succeeded")

    names = [f"estimated-{number}" for number in range(VIDEOS)]
    workspace.apply(*(a_simulated_manifest(name, seed=n) for n, name in enumerate(names)))
    told: Told = {name: [] for name in names}
    statuses = _watched(workspace, told)

    mistakes = sorted(_mistake(statuses[name], told[name]) for name in names)
    print("mistakes:", [round(each, 3) for each in mistakes])
    right = [each for each in mistakes if each <= WRONG_SHARE]
    assert len(right) >= RIGHT_AT_LEAST, mistakes
    workspace.kubectl("delete", "t2v", "before", *names)


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

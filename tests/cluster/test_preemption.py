"""A more urgent video takes the place of another, by PriorityClass, where no queue does that."""

import json
from collections.abc import Iterator

import pytest
from harness.one_node import OneNodeCluster
from harness.waiting import wait_until
from installation import Workspace
from simulated_videos import a_simulated_manifest, end_pod, running_pod, set_capacity

LOW, HIGH = "video-batch", "video-urgent"


def pods(workspace: Workspace, name: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in workspace.children("pods", name)]


@pytest.fixture
def classes(workspace: Workspace) -> Iterator[None]:
    documents = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }
        for name, value in ((LOW, 100), (HIGH, 1000))
    ]
    every = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    workspace.kubectl("apply", "-f", "-", stdin=every)
    yield
    workspace.kubectl("delete", "priorityclass", LOW, HIGH)


@pytest.fixture
def one_place(simulated: OneNodeCluster) -> Iterator[None]:
    """A simulated node that holds one pod at a time."""
    set_capacity(simulated, pods="1")
    yield
    set_capacity(simulated, pods="100000")


@pytest.mark.usefixtures("classes", "one_place")
def test_a_preempted_video_is_made_later_and_not_counted_as_failed(workspace: Workspace) -> None:
    workspace.apply(a_simulated_manifest("batch", priorityClassName=LOW, backoffLimit=0))
    first = running_pod(workspace, "batch")
    workspace.apply(a_simulated_manifest("urgent", priorityClassName=HIGH))

    running_pod(workspace, "urgent")
    wait_until(
        lambda: (
            first not in [pod["metadata"]["name"] for pod in workspace.children("pods", "batch")]
        ),
        "the batch video's pod is gone",
        60,
    )
    status = workspace.wait_for(
        "batch", lambda seen: bool((seen.get("attempts") or [{}])[0].get("reason")), "told of it"
    )
    assert status["phase"] == "Queued"
    assert status["attempts"][0]["reason"] == "Preempted"
    assert status["disruptions"] == 1

    end_pod(workspace, "urgent")
    assert workspace.wait_for_phase("urgent", "Succeeded", "Failed")["phase"] == "Succeeded"
    # The Job controller waits for its back-off, which preemptions lengthen too.
    end_pod(workspace, "batch")
    status = workspace.wait_for_phase("batch", "Succeeded", "Failed", seconds=120)
    assert status["phase"] == "Succeeded", status["message"]
    assert [each.get("reason") for each in status["attempts"]] == ["Preempted", None]

"""A cancelled video gives its place back and keeps its resource; another token makes it again."""

import time

from harness.one_node import OneNodeCluster
from harness.waiting import wait_until
from installation import Document, Workspace
from simulated_videos import a_simulated_manifest, end_pod, running_pod

GONE_SECONDS = 10


def reason(status: Document) -> str:
    return next((str(each["reason"]) for each in status.get("conditions", ())), "")


def cancelled(workspace: Workspace, name: str) -> Document:
    """The status after that; its Job and pods are gone in time."""
    began = time.monotonic()
    workspace.patch(name, cancel=True)
    status = workspace.wait_for_phase(name, "Failed", "Succeeded")
    wait_until(
        lambda: not [*workspace.children("jobs", name), *workspace.children("pods", name)],
        f"{name} has neither Job nor pod",
        60,
    )
    assert time.monotonic() - began < GONE_SECONDS
    assert reason(status) == "Cancelled", status["message"]
    return status


def test_a_running_video_is_cancelled_and_made_again(
    workspace: Workspace, simulated: OneNodeCluster
) -> None:
    workspace.apply(a_simulated_manifest("cancelled"))
    running_pod(workspace, "cancelled")
    workspace.wait_for_phase("cancelled", "Running")
    before = workspace.children("jobs", "cancelled")[0]["metadata"]["name"]
    status = cancelled(workspace, "cancelled")
    assert status["attempts"][0]["reason"] == "Cancelled"

    workspace.patch("cancelled", cancel=None)
    time.sleep(3)
    assert workspace.children("jobs", "cancelled") == [], "taking it back makes nothing"

    workspace.patch("cancelled", retryToken="again")
    end_pod(workspace, "cancelled")
    status = workspace.wait_for_phase("cancelled", "Succeeded", seconds=60)
    assert status["retryTokens"] == ["again"]
    assert status["jobName"] != before

    workspace.patch("cancelled", retryToken="and-again")
    after = workspace.wait_for(
        "cancelled", lambda seen: len(seen["retryTokens"]) == 2, "told that it was seen"
    )
    assert (after["phase"], after["jobName"]) == ("Succeeded", status["jobName"])


def test_a_suspended_video_is_cancelled(workspace: Workspace, simulated: OneNodeCluster) -> None:
    workspace.apply(a_simulated_manifest("held", suspend=True))
    workspace.wait_for_phase("held", "Suspended")
    cancelled(workspace, "held")


def test_one_that_is_applied_as_cancelled_never_begins(
    workspace: Workspace, simulated: OneNodeCluster
) -> None:
    workspace.apply(a_simulated_manifest("unwanted", cancel=True))
    status = workspace.wait_for_phase("unwanted", "Failed")
    assert reason(status) == "Cancelled"
    assert workspace.children("jobs", "unwanted") == []

"""The operator is killed at every point of a video's way: the end is right, with one Job."""

import json

import pytest
from installation import RELEASE, Installation, Workspace, a_manifest


def assert_right(workspace: Workspace, name: str) -> None:
    """One Job, one pod, one attempt, one video."""
    status = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
    assert status["phase"] == "Succeeded", status["message"]
    assert [job["metadata"]["name"] for job in workspace.children("jobs")] == [status["jobName"]]
    assert len(workspace.children("pods")) == 1
    assert len(status["attempts"]) == 1
    assert workspace.file(status["outputUrl"])[4:8] == b"ftyp"


def test_killed_before_the_job_is_made(installation: Installation, workspace: Workspace) -> None:
    installation.stop()
    workspace.apply(a_manifest("early"))
    assert workspace.children("jobs") == []
    installation.start()
    assert_right(workspace, "early")


def test_killed_between_the_job_and_the_status(
    installation: Installation, workspace: Workspace
) -> None:
    """The right to write a status is taken away, so that the Job is made and nothing said."""
    rules = installation.cluster.kubectl("get", "clusterrole", RELEASE, "-o", "json")
    without = json.loads(rules)
    without["rules"] = [
        r for r in without["rules"] if "texttovideojobs/status" not in r["resources"]
    ]
    installation.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(without))
    try:
        workspace.apply(a_manifest("between"))
        workspace.wait_for("between", lambda _: bool(workspace.children("jobs")), "with a Job")
        assert workspace.get("between").get("status") is None
        installation.kill()
    finally:
        original = json.loads(rules)
        del original["metadata"]["resourceVersion"]
        installation.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(original))
    assert_right(workspace, "between")


@pytest.mark.parametrize("moment", ["while the pod runs", "after the pod ended"])
def test_killed_later(installation: Installation, workspace: Workspace, moment: str) -> None:
    workspace.apply(a_manifest("late", numInferenceSteps=20))
    workspace.wait_for_phase("late", "Running")
    if moment == "while the pod runs":
        installation.kill()
    else:
        installation.stop()
        workspace.wait_for(
            "late",
            lambda _: workspace.children("jobs")[0].get("status", {}).get("succeeded") == 1,
            "complete without an operator",
        )
        assert workspace.status("late")["phase"] == "Running"
        installation.start()
    assert_right(workspace, "late")

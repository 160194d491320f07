"""The operator is killed at every point of a video's way: the end is right, with one Job."""

import json

from installation import LONG, RELEASE, SYSTEM, Installation, Workspace, a_manifest


def assert_right(workspace: Workspace, name: str) -> None:
    """One Job, one pod, one attempt, one video."""
    status = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
    assert status["phase"] == "Succeeded", status["message"]
    assert [job["metadata"]["name"] for job in workspace.children("jobs", name)] == [
        status["jobName"]
    ]
    assert len(workspace.children("pods", name)) == 1
    assert len(status["attempts"]) == 1
    assert workspace.file(status["outputUrl"])[4:8] == b"ftyp"


def test_killed_before_the_job_is_made(installation: Installation, workspace: Workspace) -> None:
    installation.stop()
    workspace.apply(a_manifest("early"))
    assert workspace.children("jobs", "early") == []
    installation.start()
    assert_right(workspace, "early")


def test_killed_between_the_job_and_the_status(
    installation: Installation, workspace: Workspace
) -> None:
    """The right to write a status is taken away, so that the Job is made and nothing said."""
    rules = installation.cluster.kubectl("get", "clusterrole", f"{RELEASE}.{SYSTEM}", "-o", "json")
    without = json.loads(rules)
    without["rules"] = [
        r for r in without["rules"] if "texttovideojobs/status" not in r["resources"]
    ]
    installation.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(without))
    try:
        workspace.apply(a_manifest("between"))
        workspace.wait_for(
            "between", lambda _: bool(workspace.children("jobs", "between")), "with a Job"
        )
        # Nobody has said anything: the API server's default is there alone.
        assert workspace.status("between")["observedGeneration"] == -1
        installation.kill()
    finally:
        original = json.loads(rules)
        del original["metadata"]["resourceVersion"]
        installation.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(original))
    assert_right(workspace, "between")


def test_killed_while_the_pod_runs(installation: Installation, workspace: Workspace) -> None:
    workspace.apply(a_manifest("midway", **LONG))
    workspace.wait_for_phase("midway", "Running")
    installation.kill()
    assert_right(workspace, "midway")


def test_away_when_the_pod_ends(installation: Installation, workspace: Workspace) -> None:
    workspace.apply(a_manifest("missed", **LONG))
    workspace.wait_for_phase("missed", "Running")
    installation.stop()
    workspace.wait_for(
        "missed",
        lambda _: workspace.children("jobs", "missed")[0]["status"].get("succeeded") == 1,
        "complete without an operator",
    )
    assert workspace.status("missed")["phase"] == "Running"
    installation.start()
    assert_right(workspace, "missed")

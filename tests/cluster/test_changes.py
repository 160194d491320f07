"""What people do to a resource and its children, and what becomes of the video."""

import time

from installation import LONG, Document, Workspace, a_manifest


def job_names(workspace: Workspace, name: str) -> list[str]:
    return [job["metadata"]["name"] for job in workspace.children("jobs", name)]


def test_an_edited_resource_gets_a_new_video(workspace: Workspace) -> None:
    workspace.apply(a_manifest("shape", **LONG))
    workspace.wait_for_phase("shape", "Running")
    (red,) = job_names(workspace, "shape")
    workspace.patch("shape", prompt="a large blue circle moving right")
    blue = workspace.wait_for(
        "shape",
        lambda status: (
            status.get("observedGeneration") == 2 and status["phase"] in ("Succeeded", "Failed")
        ),
        "made anew while it ran",
        seconds=300,
    )
    assert blue["phase"] == "Succeeded", blue["message"]
    assert "blue" in blue["resolved"]["prompt"]
    assert red not in job_names(workspace, "shape")
    assert job_names(workspace, "shape") == [blue["jobName"]]

    workspace.patch("shape", prompt="a large green circle moving right")
    green = workspace.wait_for(
        "shape",
        lambda status: (
            status.get("observedGeneration") == 3 and status["phase"] in ("Succeeded", "Failed")
        ),
        "made anew after it was finished",
        seconds=300,
    )
    assert green["phase"] == "Succeeded", green["message"]
    assert green["outputUrl"] != blue["outputUrl"]
    assert job_names(workspace, "shape") == [green["jobName"]]

    workspace.patch("shape", trackId="another", ttlSecondsAfterFinished=100_000)
    same = workspace.wait_for(
        "shape", lambda status: status.get("observedGeneration") == 4, "seen in its generation"
    )
    assert {**same, "observedGeneration": 0, "conditions": 0} == {
        **green,
        "observedGeneration": 0,
        "conditions": 0,
    }
    assert job_names(workspace, "shape") == [green["jobName"]]


def test_a_finished_resource_whose_job_is_removed_stays_finished(workspace: Workspace) -> None:
    workspace.apply(a_manifest("done", ttlSecondsAfterFinished=0), a_manifest("by-hand"))
    for name in ("done", "by-hand"):
        workspace.wait_for_phase(name, "Succeeded", "Failed")
    workspace.kubectl("delete", "job", workspace.status("by-hand")["jobName"])
    workspace.wait_for("done", lambda _: not job_names(workspace, "done"), "without its Job")
    workspace.kubectl("annotate", "t2v", "done", "by-hand", "look=again")
    time.sleep(3)
    for name in ("done", "by-hand"):
        assert job_names(workspace, name) == []
        status = workspace.status(name)
        assert status["phase"] == "Succeeded"
        assert len(status["attempts"]) == 1


def test_a_deleted_resource_leaves_nothing(workspace: Workspace) -> None:
    workspace.apply(a_manifest("gone", **LONG))
    workspace.wait_for_phase("gone", "Running")
    workspace.kubectl("delete", "t2v", "gone")

    def nothing_is_left() -> bool:
        return not workspace.children("jobs", "gone") and not workspace.children("pods", "gone")

    deadline = time.monotonic() + 120
    while not nothing_is_left():
        assert time.monotonic() < deadline, workspace.kubectl("get", "jobs,pods")
        time.sleep(0.5)


def test_a_job_deleted_by_hand_is_made_again_and_told(workspace: Workspace) -> None:
    workspace.apply(a_manifest("again", **LONG), a_manifest("never", backoffLimit=0, **LONG))
    for name in ("again", "never"):
        workspace.wait_for_phase(name, "Running")
        workspace.kubectl("delete", "job", workspace.status(name)["jobName"])
    never = workspace.wait_for_phase("never", "Failed")
    assert never["conditions"][0]["reason"] == "JobDeleted"
    again = workspace.wait_for_phase("again", "Succeeded", "Failed", seconds=400)
    assert again["phase"] == "Succeeded", again["message"]
    assert [attempt.get("reason") for attempt in again["attempts"]] == ["JobDeleted", None]


def test_a_suspended_video_stops_and_goes_on(workspace: Workspace) -> None:
    workspace.apply(a_manifest("pause", **LONG))
    workspace.wait_for_phase("pause", "Running")
    workspace.patch("pause", suspend=True)
    workspace.wait_for(
        "pause",
        lambda status: status["phase"] == "Suspended" and not workspace.children("pods", "pause"),
        "suspended, without a pod",
    )
    workspace.patch("pause", suspend=False)
    assert workspace.wait_for_phase("pause", "Succeeded", "Failed", seconds=400)["phase"] == (
        "Succeeded"
    )


def test_a_video_that_takes_too_long_fails_with_its_limit(workspace: Workspace) -> None:
    workspace.apply(a_manifest("late", activeDeadlineSeconds=3, **LONG))
    status: Document = workspace.wait_for_phase("late", "Succeeded", "Failed")
    assert status["conditions"][0]["reason"] == "DeadlineExceeded"
    assert "activeDeadlineSeconds is 3" in status["message"]

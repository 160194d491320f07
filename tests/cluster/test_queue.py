"""More videos than GPUs: the rest waits, says why, and runs later."""

from installation import LONG, Workspace, a_manifest


def test_the_third_video_on_two_gpus_is_queued_and_runs_later(workspace: Workspace) -> None:
    workspace.cluster.set_gpus(2)
    names = ["one", "two", "three"]
    workspace.apply(*(a_manifest(name, **LONG) for name in names))

    def waits(name: str) -> bool:
        status = workspace.status(name)
        return (
            status.get("phase") == "Queued" and "Insufficient nvidia.com/gpu" in status["message"]
        )

    workspace.wait_for(
        names[0],
        lambda _: sum(map(waits, names)) == 1 and _running(workspace, names) == 2,
        "one of three that run on two GPUs",
    )
    for name in names:
        assert workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=400)["phase"] == (
            "Succeeded"
        )


def _running(workspace: Workspace, names: list[str]) -> int:
    return [workspace.status(name).get("phase") for name in names].count("Running")

"""The API server is away, and forgets what was: all goes on by itself."""

import os
import time

from harness.one_node import OneNodeCluster
from installation import Installation, Workspace
from simulated_videos import a_simulated_manifest, end_pod

AWAY_SECONDS = float(os.environ.get("T2V_AWAY_SECONDS", "15"))
"""A minute was tried as well."""


def test_an_api_server_that_was_away_and_forgot_what_was(
    installation: Installation, workspace: Workspace, simulated: OneNodeCluster
) -> None:
    names = [f"outage-{number}" for number in range(4)]
    workspace.apply(*(a_simulated_manifest(name) for name in names))
    for name in names:
        workspace.wait_for_phase(name, "Running")
    end_pod(workspace, names[0])
    restarts = _restarts(installation)
    with simulated.without_program("kube-apiserver"):
        time.sleep(AWAY_SECONDS)
        simulated.compact_etcd()
    for name in names[1:]:
        end_pod(workspace, name)
    workspace.apply(a_simulated_manifest("afterwards"))
    end_pod(workspace, "afterwards")
    for name in (*names, "afterwards"):
        status = workspace.wait_for_phase(name, "Succeeded", "Failed")
        assert status["phase"] == "Succeeded", status["message"]
        assert len(status["attempts"]) == 1
        assert len(workspace.children("jobs", name)) == 1
    if AWAY_SECONDS < 9:
        assert _restarts(installation) == restarts, "nobody lost the lease"


def test_a_job_that_went_while_nobody_could_see_it_is_noticed(
    installation: Installation, workspace: Workspace, simulated: OneNodeCluster
) -> None:
    """The watches break and what they missed is compacted away: the list sweeps it."""
    workspace.apply(a_simulated_manifest("swept"))
    first = workspace.wait_for_phase("swept", "Running")
    pods = [pod["metadata"]["name"] for pod in installation.pods()]
    # No packet of theirs comes through, as after a cut cable.
    with installation.cut_off(pods):
        workspace.kubectl("delete", "job", first["jobName"])
        simulated.compact_etcd()
        simulated.stop_program("kube-apiserver")
        simulated.start_program("kube-apiserver")
    workspace.wait_for(
        "swept",
        lambda status: [each.get("reason") for each in status["attempts"]][:1] == ["JobDeleted"],
        "told that its Job was deleted",
    )
    end_pod(workspace, "swept")
    status = workspace.wait_for_phase("swept", "Succeeded", "Failed")
    assert status["phase"] == "Succeeded", status["message"]


def _restarts(installation: Installation) -> list[int]:
    return [
        each["restartCount"]
        for pod in installation.pods()
        for each in pod["status"]["containerStatuses"]
    ]

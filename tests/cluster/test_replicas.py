"""Two replicas, one leader: whichever dies, each video is made once."""

import json

from harness.one_node import OneNodeCluster
from harness.waiting import wait_until
from installation import RELEASE, Installation, Workspace
from simulated_videos import a_simulated_manifest, end_pod


def another_leads(installation: Installation, than: str) -> None:
    def led() -> bool:
        return installation.leader() not in ("", than)

    wait_until(led, f"a pod other than {than} leads", 60)


def test_one_leads_and_both_are_ready(installation: Installation) -> None:
    wait_until(lambda: bool(installation.leader()), "there is a leader", 60)
    pods = {pod["metadata"]["name"] for pod in installation.pods()}
    assert len(pods) == 2
    assert installation.leader() in pods


def test_a_leader_that_dies_is_replaced_and_nothing_is_made_twice(
    installation: Installation, workspace: Workspace, simulated: OneNodeCluster
) -> None:
    names = [f"moving-{number}" for number in range(6)]
    workspace.apply(*(a_simulated_manifest(name) for name in names[:3]))
    for name in names[:3]:
        workspace.wait_for_phase(name, "Running")
    leader = installation.leader()
    installation.kubectl("delete", "pod", leader, "--force", "--grace-period=0")
    workspace.apply(*(a_simulated_manifest(name) for name in names[3:]))
    for name in names[:3]:
        end_pod(workspace, name)
    another_leads(installation, leader)
    for name in names[3:]:
        end_pod(workspace, name)
    made = {}
    for name in names:
        status = workspace.wait_for_phase(name, "Succeeded", "Failed")
        assert status["phase"] == "Succeeded", status["message"]
        assert len(status["attempts"]) == 1
        made[name] = [job["metadata"]["name"] for job in workspace.children("jobs", name)]
    assert all(len(jobs) == 1 for jobs in made.values()), made


def test_a_leader_that_is_asked_to_end_hands_over_at_once(
    installation: Installation, workspace: Workspace
) -> None:
    leader = installation.leader()
    installation.kubectl("delete", "pod", leader, "--wait=false")

    def released() -> bool:
        lease = json.loads(installation.kubectl("get", "lease", RELEASE, "-o", "json"))
        return not str(lease["spec"].get("holderIdentity", "")).startswith(leader)

    # Without the release another would have to wait for 15 s.
    wait_until(released, "the lease is given back", 10)
    another_leads(installation, leader)
    installation.kubectl("rollout", "status", f"deployment/{RELEASE}", "--timeout=120s")

"""A video whose pod is taken away goes on where it was, and has the frames that it would have."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness.one_node import OneNodeCluster
from harness.pod_processes import kill_processes_of_pod, let_pod_run_out_of_memory
from harness.waiting import wait_until
from installation import Installation, Workspace, a_manifest

PROGRAM = "t2v_runner"
STEPS = 150
LATE = 20
"""The step from which on it is disturbed."""

Document = dict[str, Any]


@pytest.fixture(scope="module")
def often(
    request: pytest.FixtureRequest, installation: Installation, tmp_path_factory: Any
) -> Iterator[None]:
    """Checkpoints every second, on a volume and in a store."""
    values = tmp_path_factory.mktemp("chart") / "values.json"
    jobs: Document = {"jobs": {"checkpointEveryMinutes": 1 / 60}, "reuse": False}
    stored: Document = installation.embedded() if request.param == "embedded" else {}
    with installation.configured(values, **stored, **jobs):
        yield


@pytest.fixture(scope="module")
def undisturbed(often: None, workspace: Workspace) -> str:
    """The checksum of the frames."""
    return _frames(workspace, "undisturbed")


def _manifest(name: str) -> Document:
    return a_manifest(name, numInferenceSteps=STEPS, seed=5, backoffLimit=3)


def _frames(workspace: Workspace, name: str) -> str:
    workspace.apply(_manifest(name))
    return _finished(workspace, name)["video"]["framesSha256"]  # type: ignore[no-any-return]


def _finished(workspace: Workspace, name: str) -> Document:
    status = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=600)
    assert status["phase"] == "Succeeded", status["message"]
    return status


def _pod(workspace: Workspace, name: str) -> str:
    """The one that runs."""
    running = [
        pod["metadata"]["name"]
        for pod in workspace.children("pods", name)
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]
    return str(running[0])


def evict(workspace: Workspace, pod: str) -> None:
    """As a drain does, and a preemption."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": workspace.namespace},
    }
    path = f"/api/v1/namespaces/{workspace.namespace}/pods/{pod}/eviction"
    workspace.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def delete(workspace: Workspace, pod: str) -> None:
    workspace.kubectl("delete", "pod", pod, "--wait=false")


def delete_with_a_second(workspace: Workspace, pod: str) -> None:
    """Too little to save anything."""
    workspace.kubectl("delete", "pod", pod, "--wait=false", "--grace-period=1")


def kill_the_process(workspace: Workspace, pod: str) -> None:
    """SIGKILL, from the node."""
    kill_processes_of_pod(_uid(workspace, pod), PROGRAM)


def drain(workspace: Workspace, pod: str) -> None:
    """Of the node, as for its maintenance; of all pods on it this one alone."""
    node = json.loads(workspace.kubectl("get", "pod", pod, "-o", "json"))["spec"]["nodeName"]
    only = f"--pod-selector=textto.video/job={_resource_of(workspace, pod)}"
    try:
        workspace.kubectl("drain", node, only, "--delete-emptydir-data", "--timeout=60s")
    finally:
        workspace.kubectl("uncordon", node)


def suspend_and_resume(workspace: Workspace, pod: str) -> None:
    name = _resource_of(workspace, pod)
    workspace.patch(name, suspend=True)
    wait_until(lambda: _is_gone(workspace, pod), f"{pod} is gone", 60)
    workspace.patch(name, suspend=False)


def _resource_of(workspace: Workspace, pod: str) -> str:
    found = json.loads(workspace.kubectl("get", "pod", pod, "-o", "json"))
    return str(found["metadata"]["labels"]["textto.video/job"])


def _uid(workspace: Workspace, pod: str) -> str:
    return str(json.loads(workspace.kubectl("get", "pod", pod, "-o", "json"))["metadata"]["uid"])


def _is_gone(workspace: Workspace, pod: str) -> bool:
    return pod not in workspace.kubectl("get", "pods", "-o", "name")


WITHOUT_A_WORD = (delete_with_a_second, kill_the_process)
"""What leaves no time for a last checkpoint."""


@pytest.mark.parametrize(
    ("often", "disturb"),
    [
        pytest.param("volume", delete, id="volume-delete"),
        pytest.param("embedded", evict, id="embedded-evict"),
        pytest.param("embedded", drain, id="embedded-drain"),
        pytest.param("embedded", delete_with_a_second, id="embedded-delete"),
        pytest.param("embedded", kill_the_process, id="embedded-kill"),
        pytest.param("embedded", suspend_and_resume, id="embedded-suspend"),
    ],
    indirect=["often"],
    scope="module",
)
def test_it_goes_on_where_it_was(
    workspace: Workspace, undisturbed: str, disturb: Callable[[Workspace, str], None]
) -> None:
    name = disturb.__name__.replace("_", "-")
    workspace.apply(_manifest(name))
    workspace.wait_for(
        name, lambda status: status.get("progress", {}).get("step", 0) >= LATE, "on its way"
    )
    pod = _pod(workspace, name)
    disturb(workspace, pod)
    status = _finished(workspace, name)
    assert status["video"]["framesSha256"] == undisturbed
    assert status["attempts"][-1]["podName"] != pod
    assert status["attempts"][-1]["resumedStep"] >= (1 if disturb in WITHOUT_A_WORD else LATE)
    # One that is there has no checkpoint any more.
    workspace.kubectl("delete", "t2v", name)


@pytest.mark.parametrize("often", ["embedded"], indirect=True, scope="module")
def test_memory_that_runs_out_while_decoding_costs_no_denoising(
    often: None, workspace: Workspace
) -> None:
    if not isinstance(workspace.cluster, OneNodeCluster):
        pytest.skip("a pod's memory is limited on a one-node cluster of the harness")
    # Large enough that its decoding takes seconds.
    size: Document = {"width": 256, "height": 256, "numFrames": 32, "numInferenceSteps": 5}
    workspace.apply(a_manifest("too-large", seed=5, **size))
    workspace.wait_for_phase("too-large", "Running")
    pod = _pod(workspace, "too-large")

    def decodes() -> bool:
        return '"stage":"decode"' in workspace.kubectl("logs", pod, "--tail=5")

    wait_until(decodes, "it decodes", 600)
    let_pod_run_out_of_memory(_uid(workspace, pod), PROGRAM)
    status = _finished(workspace, "too-large")
    first, last = status["attempts"]
    assert (first["reason"], "reason" in last) == ("OutOfMemory", False)
    assert last["resumedStep"] >= size["numInferenceSteps"] - 1
    workspace.kubectl("delete", "t2v", "too-large")


@pytest.mark.parametrize("often", ["embedded"], indirect=True, scope="module")
def test_a_video_that_is_changed_begins_anew(workspace: Workspace, undisturbed: str) -> None:
    workspace.apply(_manifest("changed"))
    workspace.wait_for(
        "changed", lambda status: status.get("progress", {}).get("step", 0) >= LATE, "on its way"
    )
    workspace.patch("changed", seed=6)
    workspace.wait_for("changed", lambda status: status["observedGeneration"] == 2, "another")
    status = _finished(workspace, "changed")
    assert "resumedStep" not in status["attempts"][-1]
    assert status["video"]["framesSha256"] != undisturbed
    workspace.kubectl("delete", "t2v", "changed")

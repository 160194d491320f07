"""Videos in a GitOps pipeline: real Flux, simulated GPUs."""

import json
import os
import time
from collections.abc import Iterator

import pytest
import yaml
from flux import Flux, a_kustomization, documents, flux
from git_server import git_repository
from harness.one_node import OneNodeCluster
from harness.waiting import wait_until
from installation import ROOT, Document, Workspace
from simulated_videos import a_simulated_manifest, end_pod, running_pod

pytestmark = pytest.mark.skipif(
    "T2V_FLUX_MINUTES" not in os.environ,
    reason="Flux's controllers take minutes to build: `make flux` runs these tests",
)

FOLDER = ROOT / "examples" / "gitops" / "flux"
EXAMPLE: Document = yaml.safe_load((FOLDER / "videos.yaml").read_text())

ABOUT: Document = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "about"},
    "data": {"films": "none"},
}
"""Keeps a folder in Git."""

SOAK_MINUTES = float(os.environ.get("T2V_FLUX_MINUTES", "2"))
"""How long Flux reconciles a finished video; two by `make flux`, 30 by `make flux-soak`."""


@pytest.fixture(scope="module")
def pipeline(simulated: OneNodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flux]:
    """Flux, pulling every two seconds from a repository that this machine serves."""
    folder = tmp_path_factory.mktemp("git")
    with (
        git_repository(simulated.host_address(), folder) as repository,
        flux(simulated, repository) as running,
    ):
        yield running


def commit(pipeline: Flux, files: dict[str, Document | None]) -> str:
    return pipeline.repository.commit(documents(files))


def follow(pipeline: Flux, workspace: Workspace, folder: str, **spec: object) -> None:
    """Have Flux apply the folder, as the example says."""
    pipeline.apply(a_kustomization(EXAMPLE, folder, workspace.namespace, **spec))


def is_there(workspace: Workspace, kind: str, name: str) -> bool:
    return bool(workspace.kubectl("get", kind, name, "--ignore-not-found", "-o", "name").strip())


def test_the_examples_are_what_flux_takes(pipeline: Flux) -> None:
    """Those whose controllers run here; the types of the others know theirs, in tests/gitops."""
    for file in ("source", "videos", "after-the-videos"):
        pipeline.kubectl(
            *("apply", "--server-side", "--dry-run=server", "--validate=strict"),
            *("--force-conflicts", "-f", str(FOLDER / f"{file}.yaml")),
        )


def test_a_commit_is_ready_when_its_video_is_there(pipeline: Flux, workspace: Workspace) -> None:
    first = commit(pipeline, {"films/film.yaml": a_simulated_manifest("film")})
    follow(pipeline, workspace, "films")
    red = running_pod(workspace, "film")
    workspace.wait_for_phase("film", "Running")
    ready = pipeline.ready("films")
    assert (ready["status"], ready["reason"]) == ("Unknown", "Progressing")
    end_pod(workspace, "film")
    pipeline.wait_until_ready("films", first)
    assert workspace.status("film")["phase"] == "Succeeded"

    changed = a_simulated_manifest("film", prompt="a large blue circle moving right")
    second = commit(pipeline, {"films/film.yaml": changed})
    workspace.wait_for(
        "film",
        lambda status: status.get("observedGeneration") == 2 and status.get("phase") == "Running",
        "made anew",
    )
    assert running_pod(workspace, "film") != red
    assert pipeline.ready("films")["status"] == "Unknown"
    assert pipeline.applied_revision("films") == first
    end_pod(workspace, "film")
    pipeline.wait_until_ready("films", second)
    assert "blue" in workspace.status("film")["resolved"]["prompt"]

    commit(pipeline, {"films/film.yaml": None, "films/about.yaml": ABOUT})
    wait_until(lambda: not is_there(workspace, "t2v", "film"), "the video is pruned", 60)
    pipeline.remove("films")


def test_a_running_video_is_stopped_when_its_manifest_goes(
    pipeline: Flux, workspace: Workspace
) -> None:
    both = {f"cut/{name}.yaml": a_simulated_manifest(name) for name in ("cut", "uncut")}
    commit(pipeline, {**both})
    follow(pipeline, workspace, "cut")
    for name in ("cut", "uncut"):
        running_pod(workspace, name)
    left = commit(pipeline, {"cut/cut.yaml": None})
    wait_until(
        lambda: not workspace.children("jobs,pods", "cut"), "neither Job nor pod is left", 90
    )
    assert not is_there(workspace, "t2v", "cut")
    end_pod(workspace, "uncut")
    pipeline.wait_until_ready("cut", left)
    pipeline.remove("cut")
    assert not is_there(workspace, "t2v", "uncut")


def test_what_is_refused_says_why(pipeline: Flux, workspace: Workspace) -> None:
    commit(pipeline, {"bad/bad.yaml": a_simulated_manifest("bad", width=513)})
    follow(pipeline, workspace, "bad")
    ready = pipeline.wait_until_not_ready("bad", "multiple of 8")
    assert ready["reason"] == "ReconciliationFailed"
    assert not is_there(workspace, "t2v", "bad")

    commit(pipeline, {"bad/bad.yaml": a_simulated_manifest("bad", modelId="no-such-model")})
    ready = pipeline.wait_until_not_ready("bad", "stalled")
    assert ready["reason"] == "HealthCheckFailed"
    assert workspace.status("bad")["phase"] == "Failed"

    good = commit(pipeline, {"bad/bad.yaml": a_simulated_manifest("bad")})
    end_pod(workspace, "bad")
    pipeline.wait_until_ready("bad", good)
    pipeline.remove("bad")


def test_a_suspended_video_holds_nobody_back(pipeline: Flux, workspace: Workspace) -> None:
    made = commit(pipeline, {"held/held.yaml": a_simulated_manifest("held", suspend=True)})
    follow(pipeline, workspace, "held")
    pipeline.wait_until_ready("held", made)
    assert workspace.status("held")["phase"] == "Suspended"
    pipeline.remove("held")


def test_without_expressions_the_status_alone_makes_flux_wait(
    pipeline: Flux, workspace: Workspace
) -> None:
    """kstatus knows the conditions, and the CRD's default says that nobody has looked yet."""
    made = commit(pipeline, {"plain/plain.yaml": a_simulated_manifest("plain")})
    follow(pipeline, workspace, "plain", healthCheckExprs=[])
    running_pod(workspace, "plain")
    assert pipeline.ready("plain")["status"] == "Unknown"
    end_pod(workspace, "plain")
    pipeline.wait_until_ready("plain", made)
    follow(pipeline, workspace, "plain", healthCheckExprs=[], timeout="10s")
    commit(pipeline, {"plain/plain.yaml": a_simulated_manifest("idle", suspend=True)})
    ready = pipeline.wait_until_not_ready("plain", "timeout")
    assert ready["reason"] == "HealthCheckFailed"
    pipeline.remove("plain")


def test_what_is_reconciled_again_and_again_is_made_once(
    pipeline: Flux, workspace: Workspace
) -> None:
    manifest = a_simulated_manifest("once", ttlSecondsAfterFinished=0, seed=None)
    made = commit(pipeline, {"once/once.yaml": manifest})
    follow(pipeline, workspace, "once", wait=True)
    end_pod(workspace, "once")
    pipeline.wait_until_ready("once", made)
    wait_until(lambda: not workspace.children("jobs", "once"), "its Job is gone", 60)
    before, times = workspace.get("once"), pipeline.times_reconciled("once")

    deadline = time.monotonic() + SOAK_MINUTES * 60
    while time.monotonic() < deadline:
        time.sleep(5)
        assert workspace.children("jobs", "once") == []
    assert pipeline.times_reconciled("once") - times >= SOAK_MINUTES * 60 / 10 / 2
    after = workspace.get("once")
    assert after["metadata"]["generation"] == 1
    assert after == before, "neither Flux nor the operator has anything to write"
    events = json.loads(workspace.kubectl("get", "events", "-o", "json"))["items"]
    assert [
        event.get("count") or 1
        for event in events
        if event["involvedObject"]["name"] == "once" and event["reason"] == "JobCreated"
    ] == [1]
    pipeline.remove("once")

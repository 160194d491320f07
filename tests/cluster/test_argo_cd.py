"""Videos in a GitOps pipeline: real Argo CD, simulated GPUs."""

import os
import time
from collections.abc import Iterator

import pytest
import yaml
from argo_cd import ArgoCD, an_application, argo_cd
from flux import documents
from git_server import git_repository
from harness.one_node import OneNodeCluster
from installation import ROOT, Document, Workspace
from simulated_videos import a_simulated_manifest, end_pod, running_pod

pytestmark = pytest.mark.skipif(
    "T2V_ARGO_CD" not in os.environ,
    reason="Argo CD takes many minutes to build: `make argo-cd` runs these tests",
)

FOLDER = ROOT / "examples" / "gitops" / "argocd"
EXAMPLE: Document = yaml.safe_load((FOLDER / "videos.yaml").read_text())
SETTINGS: Document = yaml.safe_load((FOLDER / "argocd-cm.yaml").read_text())
WAVE = "argocd.argoproj.io/sync-wave"

HEALED_FOR_SECONDS = 120


@pytest.fixture(scope="module")
def pipeline(
    simulated: OneNodeCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ArgoCD]:
    """Argo CD, pulling every few seconds from a repository that this machine serves."""
    folder = tmp_path_factory.mktemp("git")
    with (
        git_repository(simulated.host_address(), folder) as repository,
        argo_cd(simulated, repository, SETTINGS) as running,
    ):
        yield running


def commit(pipeline: ArgoCD, files: dict[str, Document | None]) -> str:
    return pipeline.repository.commit(documents(files))


def follow(pipeline: ArgoCD, workspace: Workspace, folder: str) -> None:
    """Have Argo CD apply the folder, as the example says."""
    pipeline.apply(an_application(EXAMPLE, pipeline.repository, folder, workspace.namespace))


def is_there(workspace: Workspace, name: str) -> bool:
    return bool(workspace.kubectl("get", "t2v", name, "--ignore-not-found", "-o", "name").strip())


def test_an_application_is_healthy_when_its_video_is_there(
    pipeline: ArgoCD, workspace: Workspace
) -> None:
    first = commit(pipeline, {"films/film.yaml": a_simulated_manifest("film")})
    follow(pipeline, workspace, "films")
    red = running_pod(workspace, "film")
    workspace.wait_for_phase("film", "Running")
    pipeline.wait_for_health("films", "Progressing", first)
    end_pod(workspace, "film")
    pipeline.wait_for_health("films", "Healthy", first)

    changed = a_simulated_manifest("film", prompt="a large blue circle moving right")
    second = commit(pipeline, {"films/film.yaml": changed})
    pipeline.wait_for_health("films", "Progressing", second)
    assert running_pod(workspace, "film") != red
    end_pod(workspace, "film")
    pipeline.wait_for_health("films", "Healthy", second)
    assert "blue" in workspace.status("film")["resolved"]["prompt"]

    commit(pipeline, {"films/other.yaml": a_simulated_manifest("other"), "films/film.yaml": None})
    pipeline.wait(lambda: not is_there(workspace, "film"), "the video is pruned")
    running_pod(workspace, "other")
    pipeline.remove("films")
    assert not is_there(workspace, "other")
    assert workspace.children("jobs,pods", "other") == []


def test_a_failed_video_degrades_it_and_a_refused_one_is_told(
    pipeline: ArgoCD, workspace: Workspace
) -> None:
    failed = commit(pipeline, {"bad/bad.yaml": a_simulated_manifest("bad", modelId="no-such")})
    follow(pipeline, workspace, "bad")
    pipeline.wait_for_health("bad", "Degraded", failed)

    commit(pipeline, {"bad/bad.yaml": a_simulated_manifest("bad", width=513)})
    pipeline.wait(
        lambda: "multiple of 8" in str(pipeline.status("bad").get("operationState", {})),
        "the sync says what the API server says",
    )
    good = commit(pipeline, {"bad/bad.yaml": a_simulated_manifest("bad")})
    end_pod(workspace, "bad")
    pipeline.wait_for_health("bad", "Healthy", good)
    pipeline.remove("bad")


def test_a_suspended_video_is_shown_as_such(pipeline: ArgoCD, workspace: Workspace) -> None:
    made = commit(pipeline, {"held/held.yaml": a_simulated_manifest("held", suspend=True)})
    follow(pipeline, workspace, "held")
    pipeline.wait_for_health("held", "Suspended", made)
    pipeline.remove("held")


def test_a_later_wave_waits_for_the_videos_before_it(
    pipeline: ArgoCD, workspace: Workspace
) -> None:
    opening, closing = a_simulated_manifest("opening"), a_simulated_manifest("closing")
    closing["metadata"]["annotations"] = {WAVE: "1"}
    made = commit(pipeline, {"waves/opening.yaml": opening, "waves/closing.yaml": closing})
    follow(pipeline, workspace, "waves")
    running_pod(workspace, "opening")
    assert not is_there(workspace, "closing")
    end_pod(workspace, "opening")
    end_pod(workspace, "closing")
    pipeline.wait_for_health("waves", "Healthy", made)
    pipeline.remove("waves")


def test_what_is_healed_again_and_again_is_made_once(
    pipeline: ArgoCD, workspace: Workspace
) -> None:
    """Its Job is gone at once, and the spec has a default, a null and a drawn seed."""
    manifest = a_simulated_manifest("once", ttlSecondsAfterFinished=0, seed=None)
    made = commit(pipeline, {"once/once.yaml": manifest})
    follow(pipeline, workspace, "once")
    end_pod(workspace, "once")
    pipeline.wait_for_health("once", "Healthy", made)
    before = workspace.get("once")
    compared = pipeline.status("once")["reconciledAt"]
    deadline = time.monotonic() + HEALED_FOR_SECONDS
    while time.monotonic() < deadline:
        time.sleep(5)
        assert workspace.children("jobs", "once") == []
        assert pipeline.health("once", made) == "Healthy", "nothing differs from what is in Git"
    assert workspace.get("once") == before
    assert pipeline.status("once")["reconciledAt"] > compared
    pipeline.remove("once")

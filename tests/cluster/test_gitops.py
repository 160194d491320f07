"""No drift: what was applied and worked on can be applied again, and nothing changes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from harness.cluster import Cluster
from harness.go_programs import module_folder
from harness.waiting import wait_until
from installation import ROOT, Document, Workspace, a_manifest

from crds import apply_crds, delete_crds

GITOPS = ROOT / "examples" / "gitops"
FLUX = ("--server-side", "--field-manager=kustomize-controller", "--force-conflicts")
"""As Flux applies, and as Argo CD does with ServerSideApply=true under its own name."""

EVERYTHING: Document = {
    "negativePrompt": "blurry",
    "enhancePrompt": False,
    "scheduler": "DDIMScheduler",
    "schedulerPolicy": "Strict",
    "guidanceScale": 2.0,
    "width": 64,
    "height": 64,
    "numFrames": 16,
    "fps": 8,
    "trackId": "film-1",
    "ttlSecondsAfterFinished": 100_000,
    "outputPolicy": "Retain",
    "backoffLimit": 2,
}


@pytest.fixture
def argo_cd(cluster: Cluster) -> Iterator[str]:
    """Argo CD's CRD of Applications, and nothing of Argo CD that runs; a namespace for them."""
    folder = module_folder("argo", "github.com/argoproj/argo-cd/v3")
    crd = folder / "manifests" / "crds" / "application-crd.yaml"
    apply_crds(cluster, [crd])
    cluster.kubectl("create", "namespace", "argocd")
    yield "argocd"
    cluster.kubectl("delete", "namespace", "argocd")
    delete_crds(cluster, [crd])


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        pytest.param("few", {"seed": None, "fps": None}, id="the CRD's defaults, and nulls"),
        pytest.param("full", EVERYTHING, id="many fields"),
        pytest.param("refused", {"modelId": "no-such-model"}, id="refused"),
        pytest.param("held", {"suspend": True}, id="suspended"),
    ],
)
@pytest.mark.parametrize("how", [(), FLUX], ids=["three-way", "server-side"])
def test_a_second_apply_changes_nothing(
    workspace: Workspace, name: str, spec: dict[str, Any], how: tuple[str, ...]
) -> None:
    """The three-way diff is kubectl's, whose merge of custom resources Argo CD's is as well."""
    name = f"{name}-{'flux' if how else 'kubectl'}"
    manifest = a_manifest(name, **spec)
    text = yaml.safe_dump(manifest)
    workspace.kubectl("apply", *how, "-f", "-", stdin=text)
    workspace.wait_for_phase(name, "Succeeded", "Failed", "Suspended")
    before = workspace.get(name)
    assert workspace.kubectl("diff", *how, "-f", "-", stdin=text) == ""
    dry_run = ("--dry-run=server", "-o", "json")
    seen = json.loads(workspace.kubectl("apply", *how, *dry_run, "-f", "-", stdin=text))
    assert without_managers(seen) == without_managers(before)
    workspace.kubectl("apply", *how, "-f", "-", stdin=text)
    assert workspace.get(name)["metadata"]["generation"] == 1
    workspace.kubectl("delete", "t2v", name)


def test_a_model_is_not_changed_by_a_second_apply(workspace: Workspace) -> None:
    model = yaml.safe_load((ROOT / "models" / "catalogue" / "wan21-t2v-1-3b.yaml").read_text())
    text = yaml.safe_dump(model)
    name = model["metadata"]["name"]

    def status() -> Document:
        found: Document = json.loads(workspace.kubectl("get", "vmodel", name, "-o", "json"))
        return dict(found["status"])

    workspace.kubectl("apply", "-f", "-", stdin=text)
    try:
        wait_until(lambda: status()["observedGeneration"] == 1, "the model was looked at", 60)
        assert workspace.kubectl("diff", "-f", "-", stdin=text) == ""
        assert workspace.kubectl("diff", *FLUX, "-f", "-", stdin=text) == ""
    finally:
        workspace.kubectl("delete", "vmodel", name)


def test_kubectl_apply_wants_a_name(workspace: Workspace) -> None:
    manifest = a_manifest("opening")
    manifest["metadata"] = {"generateName": "opening-"}
    with pytest.raises(Exception, match="cannot use generate name with apply"):
        workspace.apply(manifest)


@pytest.mark.parametrize("file", ["videos", "operator", "argocd-cm"])
def test_the_examples_are_what_argo_cd_takes(cluster: Cluster, argo_cd: str, file: str) -> None:
    cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict"),
        *("--namespace", argo_cd, "-f", str(GITOPS / "argocd" / f"{file}.yaml")),
    )


def test_the_videos_are_what_the_operator_takes(workspace: Workspace) -> None:
    for folder in ("videos", "another-take"):
        workspace.kubectl(
            "apply", "--dry-run=server", "--validate=strict", "-k", str(GITOPS / folder)
        )


def without_managers(resource: Document) -> Document:
    metadata = {
        name: value
        for name, value in resource["metadata"].items()
        if name not in ("managedFields", "resourceVersion")
    }
    return {**resource, "metadata": metadata}

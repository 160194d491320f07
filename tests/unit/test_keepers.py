"""Who would make a deleted resource again, by the marks that they leave on it."""

from typing import Any

import pytest
from t2v_operator.core.keepers import keeper_of
from t2v_operator.core.observe import observe_resource

from tests.unit.observations import a_resource_document


def annotated(name: str, value: str = "x") -> dict[str, Any]:
    return {"annotations": {name: value}}


def labelled(name: str, value: str = "x") -> dict[str, Any]:
    return {"labels": {name: value}}


def applied_by(manager: str) -> dict[str, Any]:
    return {"managedFields": [{"manager": "kubectl"}, {"manager": manager, "operation": "Apply"}]}


OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "films", "uid": "u"}


@pytest.mark.parametrize(
    ("metadata", "keeper"),
    [
        (annotated("argocd.argoproj.io/tracking-id", "films:textto.video/…"), "Argo CD"),
        (labelled("argocd.argoproj.io/instance"), "Argo CD"),
        (
            labelled("app.kubernetes.io/instance") | applied_by("argocd-controller"),
            "Argo CD",
        ),
        (applied_by("argocd-application-controller"), "Argo CD"),
        (labelled("kustomize.toolkit.fluxcd.io/name"), "Flux"),
        (labelled("helm.toolkit.fluxcd.io/name"), "Flux"),
        (labelled("resourceset.fluxcd.controlplane.io/name"), "Flux"),
        (applied_by("kustomize-controller"), "Flux"),
        (applied_by("helm-controller"), "Flux"),
        (annotated("meta.helm.sh/release-name"), "Helm"),
        (labelled("app.kubernetes.io/managed-by", "Helm"), "Helm"),
        (applied_by("helm"), "Helm"),
        (annotated("config.k8s.io/owning-inventory"), "an inventory (Config Sync, kpt)"),
        (annotated("objectset.rio.cattle.io/id"), "Rancher"),
        (labelled("kapp.k14s.io/app"), "kapp"),
        (labelled("applyset.kubernetes.io/part-of"), "an ApplySet"),
        (applied_by("Terraform"), "Terraform"),
        ({"ownerReferences": [OWNER]}, "its owner"),
        (annotated("textto.video/keep", "true"), "its annotation textto.video/keep"),
        (annotated("textto.video/keep", "yes"), "its annotation textto.video/keep"),
    ],
    ids=str,
)
def test_what_something_keeps_is_known_by_its_mark(metadata: dict[str, Any], keeper: str) -> None:
    assert keeper_of(metadata) == keeper
    document = a_resource_document()
    document["metadata"] |= metadata
    assert observe_resource(document).keeper == keeper


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"labels": None, "annotations": None}, id="empty maps"),
        pytest.param(labelled("app.kubernetes.io/instance"), id="a label that many write"),
        pytest.param(labelled("app.kubernetes.io/managed-by", "me"), id="managed by somebody"),
        pytest.param(annotated("textto.video/keep", "false"), id="it says so itself"),
        pytest.param(applied_by("kubectl-client-side-apply"), id="kubectl apply"),
        pytest.param(applied_by("text-to-video-operator"), id="the operator's own writes"),
        pytest.param(
            annotated("kubectl.kubernetes.io/last-applied-configuration", "{}"),
            id="what kubectl remembers",
        ),
    ],
)
def test_what_a_person_applied_is_kept_by_nobody(metadata: dict[str, Any]) -> None:
    assert keeper_of(metadata) == ""

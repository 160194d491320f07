"""Who would make a resource again as soon as it is gone, by the marks that they leave. Pure.

A mark too many keeps a resource that has no files any more. One too few makes its video over and
over: what is deleted is applied anew.
"""

from collections.abc import Iterator

from t2v_operator.core.job import Manifest
from t2v_operator.core.names import KEEP_ANNOTATION

ANNOTATIONS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "meta.helm.sh/release-name": "Helm",
    "config.k8s.io/owning-inventory": "an inventory (Config Sync, kpt)",
    "objectset.rio.cattle.io/id": "Rancher",
}
LABELS = {
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "resourceset.fluxcd.controlplane.io/name": "Flux",
    "kapp.k14s.io/app": "kapp",
    "applyset.kubernetes.io/part-of": "an ApplySet",
    "karmada.io/managed": "Karmada",
}
LABEL_VALUES = {("app.kubernetes.io/managed-by", "Helm"): "Helm"}
MANAGERS = {
    # Argo CD may be told to track by another label, such as app.kubernetes.io/instance, which many
    # write; what it applied, it applied under these names.
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "helm": "Helm",
    "Terraform": "Terraform",
}
"""Of fields, as `metadata.managedFields` names them."""


def keeper_of(metadata: Manifest) -> str:
    """Who keeps the resource, for a message; empty where nobody does."""
    return next(_keepers(metadata), "")


def _keepers(metadata: Manifest) -> Iterator[str]:
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    if annotations.get(KEEP_ANNOTATION, "false") != "false":
        yield f"its annotation {KEEP_ANNOTATION}"
    yield from (who for name, who in ANNOTATIONS.items() if name in annotations)
    yield from (who for name, who in LABELS.items() if name in labels)
    yield from (who for (name, value), who in LABEL_VALUES.items() if labels.get(name) == value)
    managers = {each.get("manager") for each in metadata.get("managedFields") or ()}
    yield from (who for name, who in MANAGERS.items() if name in managers)
    if metadata.get("ownerReferences"):
        yield "its owner"

"""config/default is the chart's default rendering, for kubectl alone. With the real kustomize."""

from pathlib import Path
from typing import Any

import chart_files
import pytest
import yaml
from harness.commands import run
from harness.errors import HarnessError
from harness.go_programs import go_program

from tests.chart.test_chart import Helm, helm

__all__ = ("helm",)

HELM_LABELS = ("app.kubernetes.io/managed-by", "helm.sh/chart")


@pytest.fixture(scope="module")
def kubectl(helm: Helm) -> Path:
    try:
        return go_program("kubectl")
    except HarnessError as error:
        pytest.skip(f"no kubectl: {error}")


def by_name(text: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The documents, without what speaks of Helm."""
    documents = [each for each in yaml.safe_load_all(text) if each]
    for each in documents:
        metadata = each["metadata"]
        pod = each.get("spec", {}).get("template", {}).get("metadata", {})
        for labels in (metadata.get("labels", {}), pod.get("labels", {})):
            for label in HELM_LABELS:
                labels.pop(label, None)
        metadata.get("annotations", {}).pop("helm.sh/resource-policy", None)
        if each["kind"] == "ValidatingAdmissionPolicy":
            each["spec"] = in_one_line(each["spec"])
    return {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each
        for each in documents
    }


def in_one_line(value: Any) -> Any:
    """kustomize adds empty lines to folded text; an expression means the same."""
    if isinstance(value, dict):
        return {name: in_one_line(each) for name, each in value.items()}
    if isinstance(value, list):
        return [in_one_line(each) for each in value]
    return " ".join(value.split()) if isinstance(value, str) else value


def test_its_files_are_made_from_the_chart(helm: Helm) -> None:
    made = {
        path: text for path, text in chart_files.chart_files().items() if path.suffix == ".yaml"
    }
    assert {path: path.read_text() for path in made} == made, "run: make generate"
    there = set(chart_files.DEFAULT.iterdir())
    assert there == {path for path in made if path.parent == chart_files.DEFAULT}


def test_kustomize_makes_of_it_what_helm_makes(helm: Helm, kubectl: Path) -> None:
    kustomized = by_name(run([kubectl, "kustomize", chart_files.DEFAULT]))
    namespace = kustomized.pop(("Namespace", "", chart_files.NAMESPACE))
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert kustomized == by_name(chart_files.rendered())


def test_everything_is_in_the_namespace_or_in_none(helm: Helm, kubectl: Path) -> None:
    kustomized = by_name(run([kubectl, "kustomize", chart_files.DEFAULT]))
    assert {namespace for _, namespace, _ in kustomized} == {chart_files.NAMESPACE, ""}


def test_the_crds_can_be_applied_alone(helm: Helm, kubectl: Path) -> None:
    alone = by_name(run([kubectl, "kustomize", chart_files.CRDS]))
    everything = by_name(chart_files.rendered())
    assert alone == {key: everything[key] for key in alone}
    assert {kind for kind, _, _ in alone} == {"CustomResourceDefinition"}

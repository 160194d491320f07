"""CRDs outlive releases: what a release does that finds them. With the real helm.

See docs/design/whose-crd.md.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.errors import CommandError
from t2v_operator.crd import CUSTOM_KINDS, DIGEST, custom_resource_definition

from tests.chart.api_server import api_server
from tests.chart.test_chart import CHART, Helm, helm

__all__ = ("helm",)

NAMES = {of.name for of in CUSTOM_KINDS}


def crds(
    release: str | None, namespace: str = "t2v-system", *, version: str = "0.2.0", **digest: str
) -> list[dict[str, Any]]:
    """As they are in a cluster, made by a release, or by kubectl."""
    found = []
    for of in CUSTOM_KINDS:
        crd = custom_resource_definition(of)
        metadata = crd["metadata"]
        metadata["annotations"] |= {DIGEST: digest["digest"]} if digest else {}
        if release:
            metadata["labels"] = {
                "app.kubernetes.io/managed-by": "Helm",
                "app.kubernetes.io/version": version,
            }
            metadata["annotations"] |= {
                "meta.helm.sh/release-name": release,
                "meta.helm.sh/release-namespace": namespace,
            }
        found.append(crd)
    return found


def installed(helm: Helm, folder: Path, there: list[dict[str, Any]], *words: str) -> set[str]:
    """The CRDs that the release `video` has in a cluster where some are `there`."""
    with api_server(there, folder) as kubeconfig:
        text = helm(
            *("install", "video", CHART, "--namespace", "t2v-system", "--dry-run=server"),
            *("--disable-openapi-validation", "--kubeconfig", kubeconfig, "--output=json"),
            *words,
        )
    documents = yaml.safe_load_all(yaml.safe_load(text)["manifest"])
    return {
        each["metadata"]["name"]
        for each in documents
        if each and each["kind"] == "CustomResourceDefinition"
    }


def test_where_there_are_none_it_makes_them(helm: Helm, tmp_path: Path) -> None:
    assert installed(helm, tmp_path, []) == NAMES


def test_its_own_are_kept_up_to_date(helm: Helm, tmp_path: Path) -> None:
    assert installed(helm, tmp_path, crds("video", digest="another")) == NAMES


@pytest.mark.parametrize(
    "there",
    [
        crds("films"),
        crds("video", "elsewhere"),
        crds("films", version="0.3.0", digest="another"),
        crds(None),
    ],
    ids=["of another name", "of another namespace", "of a later release", "applied by kubectl"],
)
def test_what_another_has_and_fits_is_left_to_it(
    helm: Helm, tmp_path: Path, there: list[dict[str, Any]]
) -> None:
    assert installed(helm, tmp_path, there) == set()


def test_helm_itself_would_refuse_them(helm: Helm, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="invalid ownership metadata"):
        installed(helm, tmp_path, crds("films"), "--set", "crds.takeOver=true")
    taken = installed(
        helm, tmp_path, crds("films"), "--set", "crds.takeOver=true", "--take-ownership"
    )
    assert taken == NAMES


@pytest.mark.parametrize(
    ("there", "owner"),
    [
        (crds("films", "ads", digest="another"), "the release films in the namespace ads"),
        (
            crds("films", "ads", version="0.1.0", digest="x"),
            "the release films in the namespace ads",
        ),
        (crds(None, digest="another"), "no release of Helm"),
    ],
    ids=["of this version, changed", "of an earlier version", "applied by kubectl"],
)
def test_one_that_does_not_fit_is_named_with_what_to_do(
    helm: Helm, tmp_path: Path, there: list[dict[str, Any]], owner: str
) -> None:
    with pytest.raises(CommandError) as refusal:
        installed(helm, tmp_path, there)
    assert f"belongs to {owner}" in str(refusal.value)
    assert "meta.helm.sh/release-name=video" in str(refusal.value)
    assert "--overwrite app.kubernetes.io/managed-by=Helm" in str(refusal.value)
    assert installed(helm, tmp_path, there, "--set", "crds.install=false") == set()


def test_whose_they_are_is_said_after_the_installation(helm: Helm, tmp_path: Path) -> None:
    with api_server(crds("films"), tmp_path) as kubeconfig:
        text = helm(
            *("install", "video", CHART, "--namespace", "t2v-system", "--dry-run=server"),
            *("--disable-openapi-validation", "--kubeconfig", kubeconfig),
        )
    for name in NAMES:
        assert f"{name} is there already, belongs to the release films" in text


def test_what_to_do_is_said_for_all_crds_at_once(helm: Helm, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refusal:
        installed(helm, tmp_path, crds("films", digest="another"))
    lines = [line.strip() for line in str(refusal.value).splitlines()]
    commands = [line.split() for line in lines if line.startswith("kubectl ")]
    assert [command[1:3] for command in commands] == [["label", "crd"], ["annotate", "crd"]]
    assert all(set(command) >= NAMES for command in commands)

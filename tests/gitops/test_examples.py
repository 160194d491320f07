"""The examples of docs/gitops.md: what they name is there, and Flux's and our own types know them.

Argo CD's and Flux's CRDs judge them too, in tests/cluster/test_gitops.py and test_flux.py.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.go_programs import go_program
from t2v_api.resource import KIND, TextToVideoJob
from t2v_operator.config import OperatorConfig, load_config

EXAMPLES = Path(__file__).parents[2] / "examples" / "gitops"
PAGE = EXAMPLES.parents[1] / "docs" / "gitops.md"
CHART = EXAMPLES.parents[1] / "charts" / "text-to-video-operator"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
TAKES = ("opening", "closing")
OPERATOR = EXAMPLES / "flux" / "operator.yaml"

Document = dict[str, Any]


def documents(file: Path) -> list[Document]:
    return list(yaml.safe_load_all(file.read_text()))


def named(folder: str) -> dict[tuple[str, str], Document]:
    return {
        (each["kind"], each["metadata"]["name"]): each
        for file in (EXAMPLES / folder).glob("*.yaml")
        for each in documents(file)
    }


def flux_reads(text: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [go_program("flux-manifests")], input=text, text=True, capture_output=True
    )


def built(folder: str) -> dict[str, TextToVideoJob]:
    """What kustomize makes of the folder, by name."""
    ended = subprocess.run(
        [go_program("kubectl"), "kustomize", EXAMPLES / folder],
        capture_output=True,
        text=True,
        check=True,
    )
    resources = yaml.safe_load_all(ended.stdout)
    return {each["metadata"]["name"]: TextToVideoJob.parse(each) for each in resources}


@pytest.mark.parametrize("file", (EXAMPLES / "flux").glob("*.yaml"), ids=lambda file: file.stem)
def test_flux_knows_every_field(file: Path) -> None:
    ended = flux_reads(file.read_text())
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == len(documents(file))


def test_a_field_that_flux_does_not_know_is_noticed() -> None:
    text = (EXAMPLES / "flux" / "videos.yaml").read_text().replace("  wait:", "  waits:")
    ended = subprocess.run(
        [go_program("flux-manifests")], input=text, text=True, capture_output=True
    )
    assert 'unknown field "spec.waits"' in ended.stderr


@pytest.mark.parametrize("document", named("flux").values(), ids=lambda each: each["kind"])
def test_what_flux_is_led_to_is_there(document: Document) -> None:
    there, spec = named("flux"), document["spec"]
    chart = spec.get("chart", {}).get("spec", {})
    references = [
        reference
        for reference in (spec.get("sourceRef"), chart.get("sourceRef"))
        if reference is not None
    ]
    assert all((each["kind"], each["name"]) in there for each in references)
    for each in spec.get("dependsOn", ()):
        assert ("Kustomization", each["name"]) in there
    if "imageRepositoryRef" in spec:
        assert ("ImageRepository", spec["imageRepositoryRef"]["name"]) in there


def test_image_updates_go_to_the_fields_that_a_policy_is_for() -> None:
    policies = {name for kind, name in named("flux") if kind == "ImagePolicy"}
    marked = [
        line.split("$imagepolicy")[1].split(":")[2].strip(' "}')
        for line in OPERATOR.read_text().splitlines()
        if "$imagepolicy" in line
    ]
    assert set(marked) == policies
    assert len(marked) == 3


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(
            named("flux")["HelmRelease", "text-to-video-operator"]["spec"]["values"], id="Flux"
        ),
        pytest.param(
            named("argocd")["Application", "text-to-video-operator"]["spec"]["source"]["helm"][
                "valuesObject"
            ],
            id="Argo CD",
        ),
    ],
)
def test_the_charts_values_are_values_of_the_chart(values: Document) -> None:
    assert set(values) <= set(VALUES)
    assert set(values["image"]) <= set(VALUES["image"])
    config = OperatorConfig.parse(load_config(None).document() | values["config"])
    assert config.runner.image.startswith("registry.example.com/")


def test_the_videos_are_valid_and_in_the_order_of_their_waves() -> None:
    opening, closing = (documents(EXAMPLES / "videos" / f"{name}.yaml")[0] for name in TAKES)
    waves = [
        int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for each in (opening, closing)
    ]
    assert waves == [0, 1]
    assert set(built("videos")) == set(TAKES)


def test_a_name_suffix_makes_other_resources_and_other_videos() -> None:
    first, second = built("videos"), built("another-take")
    assert set(second) == {f"{name}-take-2" for name in first}
    for name, video in first.items():
        again = second[f"{name}-take-2"]
        assert again.spec.request_hash != video.spec.request_hash
        assert again.spec.prompt == video.spec.prompt


def test_kustomize_and_so_flux_refuses_a_generated_name(tmp_path: Path) -> None:
    video = documents(EXAMPLES / "videos" / "opening.yaml")[0]
    video["metadata"] = {"generateName": "opening-"}
    (tmp_path / "video.yaml").write_text(yaml.safe_dump(video))
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["video.yaml"]}))
    ended = subprocess.run(
        [go_program("kubectl"), "kustomize", tmp_path], capture_output=True, text=True
    )
    assert "missing metadata.name" in ended.stderr


def test_flux_waits_for_both_kinds_as_argo_cd_does() -> None:
    checks = named("flux")["Kustomization", "videos"]["spec"]["healthCheckExprs"]
    judged = {f"textto.video_{check['kind']}" for check in checks}
    data = named("argocd")["ConfigMap", "argocd-cm"]["data"]
    assert {name.removeprefix("resource.customizations.health.") for name in data} == judged
    assert f"textto.video_{KIND}" in judged


def test_the_page_leads_to_what_is_there_and_names_every_example() -> None:
    text = PAGE.read_text()
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)}
    assert all((PAGE.parent / link).exists() for link in links)
    files = [
        file for file in EXAMPLES.rglob("*.yaml") if "resource_customizations" not in file.parts
    ]
    unnamed = [file for file in files if str(file.relative_to(EXAMPLES)) not in text]
    assert {file.name for file in unnamed} == {"kustomization.yaml"}, "of the folder videos"

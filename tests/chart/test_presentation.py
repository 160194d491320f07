"""How the chart shows itself: its README, and what an index of charts reads in Chart.yaml."""

import json
import re
from typing import Any

import chart_files
import yaml
from t2v_api.resource import TextToVideoJob
from t2v_api.video_model import VideoModel
from t2v_operator.crd import CUSTOM_KINDS, custom_resource_definition

from tests.chart.test_chart import CHART, ROOT, Helm, helm

__all__ = ("helm",)

DOCUMENT: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def annotated(name: str) -> Any:
    return yaml.safe_load(DOCUMENT["annotations"][f"artifacthub.io/{name}"])


def test_the_readme_is_made_from_the_comments_of_the_values(helm: Helm) -> None:
    path = CHART / "README.md"
    assert path.read_text() == chart_files.chart_files()[path], "run: make generate"


def test_the_readme_names_every_value() -> None:
    rows = set(re.findall(r"^\| `(\S+)` \|", (CHART / "README.md").read_text(), re.MULTILINE))

    def names(values: dict[str, Any], before: str) -> set[str]:
        return {
            name
            for key, value in values.items()
            for path in [f"{before}{key}"]
            for name in (
                {path}
                if path in rows or not value or not isinstance(value, dict)
                else names(value, f"{path}.")
            )
        }

    assert names(VALUES, "") <= rows


def test_the_crds_are_those_that_are_installed() -> None:
    crds = {each["name"]: each for each in annotated("crds")}
    assert set(crds) == {of.name for of in CUSTOM_KINDS}
    for of in CUSTOM_KINDS:
        (version,) = custom_resource_definition(of)["spec"]["versions"]
        assert (crds[of.name]["kind"], crds[of.name]["version"]) == (of.kind, version["name"])


def test_the_examples_are_resources() -> None:
    video, model = annotated("crdsExamples")
    job = TextToVideoJob.model_validate_json(json.dumps(video))
    assert job.spec.model_id == VALUES["config"]["models"][0]["id"]
    assert VideoModel.model_validate_json(json.dumps(model)).metadata.name == "wan21-t2v-1-3b"


def test_the_images_are_the_defaults() -> None:
    images = {each["name"]: each["image"] for each in annotated("images")}
    assert images == {
        "operator": f"{VALUES['image']['repository']}:{DOCUMENT['appVersion']}",
        "runner": VALUES["config"]["runner"]["image"],
    }


def test_changes_links_and_icon_are_such_as_an_index_takes() -> None:
    kinds = {each["kind"] for each in annotated("changes")}
    assert kinds <= {"added", "changed", "deprecated", "removed", "fixed", "security"}
    for url in [each["url"] for each in annotated("links")] + [DOCUMENT["icon"]]:
        home, path = url.split("/main/")
        assert home.startswith(DOCUMENT["home"])
        assert (ROOT / path).exists()

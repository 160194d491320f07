"""Every YAML block that holds our resources, or the chart's values, is one that would be taken."""

import json
from typing import Any

import jsonschema_rs
import pytest
import yaml
from t2v_api.resource import API_VERSION, KIND, TextToVideoJob, TextToVideoJobSpec
from t2v_api.sizes import ModelSizes
from t2v_api.video_model import MODEL_KIND, VideoModel
from t2v_operator.config import OperatorConfig
from t2v_operator.crd import CUSTOM_KINDS, custom_resource_definition

from tests.site.pages import ROOT, Block, blocks

CHART = ROOT / "charts" / "text-to-video-operator"
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
VALUES = jsonschema_rs.validator_for(json.loads((CHART / "values.schema.json").read_text()))
KINDS = {KIND: TextToVideoJob, MODEL_KIND: VideoModel}
SCHEMAS = {
    of.kind: jsonschema_rs.Draft4Validator(  # OpenAPI 3.0 goes by it
        custom_resource_definition(of)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    )
    for of in CUSTOM_KINDS
}
FILLED_IN = {"reportServer": {"url": "https://operator-report.t2v-system.svc"}}
"""What the chart's templates add, of what the operator must have."""
ANSWERS = {"docs/quickstart.md": {"phase", "outputUrl"}}
"""What a program prints."""

Document = dict[str, Any]


def merged(below: Any, over: Any) -> Any:
    """As helm lays values over the chart's: maps are joined, all else is replaced."""
    if not isinstance(below, dict) or not isinstance(over, dict):
        return over
    joined = {name: merged(below.get(name), value) for name, value in over.items()}
    return below | joined


def check(document: Document, page: str) -> str:
    """What the document is; raises where that would be refused."""
    if "apiVersion" in document:
        if document["apiVersion"] != API_VERSION:
            return "another's"
        KINDS[document["kind"]].parse(document)
        SCHEMAS[document["kind"]].validate(document)
        return "resource"
    if document.keys() == {"spec"}:
        TextToVideoJobSpec.parse(document["spec"])
        return "spec"
    if document.keys() == {"sizes"}:
        ModelSizes.parse(document["sizes"])
        return "sizes"
    if ANSWERS.get(page) == document.keys():
        return "answer"
    values = merged(DEFAULTS, document)
    VALUES.validate(values)
    OperatorConfig.parse(values["config"] | FILLED_IN)
    return "values"


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_yaml_block_would_be_taken(block: Block) -> None:
    documents = list(yaml.safe_load_all(block.text))
    assert documents
    for document in documents:
        check(document, block.page)


def test_the_pages_have_resources_and_values() -> None:
    """Else the test above would test nothing."""
    found = [
        check(document, block.page)
        for block in blocks("yaml")
        for document in yaml.safe_load_all(block.text)
    ]
    assert found.count("resource") > 4
    assert found.count("values") > 8


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"config": {"pols": []}}, id="unknown value"),
        pytest.param({"store": {"sise": "1Gi"}}, id="unknown value of the chart"),
        pytest.param({"spec": {"modelId": "a", "prompt": "b", "widht": 64}}, id="unknown field"),
        pytest.param(
            {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "a"}, "spec": {}},
            id="required field",
        ),
    ],
)
def test_what_would_be_refused_is_found(document: Document) -> None:
    with pytest.raises((ValueError, jsonschema_rs.ValidationError)):
        check(document, "docs/any.md")

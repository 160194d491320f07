"""The CRD says what the models say."""

from typing import Any

import pytest
from t2v_api.resource import SPEC_RULES
from t2v_operator.crd import (
    CUSTOM_KINDS,
    MODELS,
    VIDEOS,
    CustomKind,
    custom_resource_definition,
    custom_resource_definition_yaml,
)


def schema_of(of: CustomKind) -> dict[str, Any]:
    (version,) = custom_resource_definition(of)["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


SCHEMA = schema_of(VIDEOS)
SPEC = SCHEMA["properties"]["spec"]["properties"]


each_kind = pytest.mark.parametrize("of", CUSTOM_KINDS, ids=lambda of: of.kind)


@each_kind
def test_every_field_is_explained(of: CustomKind) -> None:
    def unexplained(schema: dict[str, Any], at: str) -> list[str]:
        found = [] if schema.get("description") else [at]
        for name, field in schema.get("properties", {}).items():
            found += unexplained(field, f"{at}.{name}")
        items = schema.get("items", {})
        return found + (unexplained(items, f"{at}[]") if "properties" in items else [])

    for name in ("spec", "status"):
        assert unexplained(schema_of(of)["properties"][name], name) == []


def test_limits_are_the_models_limits() -> None:
    assert SPEC["width"] == {
        "type": "integer",
        "description": "Pixels, a multiple of 8. Default: the model's.",
        "minimum": 64,
        "maximum": 4096,
        "multipleOf": 8,
        "format": "int64",
        "nullable": True,
    }
    assert SPEC["strength"]["minimum"] == 0
    assert SPEC["strength"]["exclusiveMinimum"] is True
    assert SPEC["strength"]["maximum"] == 1
    assert len(SPEC["scheduler"]["enum"]) == 18


def test_the_rules_that_span_fields_reach_the_api_server() -> None:
    rules = SCHEMA["properties"]["spec"]["x-kubernetes-validations"]
    assert [rule["rule"] for rule in rules] == [rule.cel for rule in SPEC_RULES]


@each_kind
def test_nothing_is_left_that_a_structural_schema_forbids(of: CustomKind) -> None:
    text = custom_resource_definition_yaml(of)
    for word in ("$ref", "anyOf", "$defs", "title:", "additionalProperties: false"):
        assert word not in text


@each_kind
def test_what_no_operator_has_seen_has_no_generation_observed(of: CustomKind) -> None:
    assert schema_of(of)["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_a_default_holds_no_nulls_which_the_api_server_would_prune() -> None:
    resources = schema_of(MODELS)["properties"]["spec"]["properties"]["resources"]
    assert resources["default"] == {"gpus": 1, "cpu": "1", "memory": "4Gi"}


def test_a_model_is_of_the_whole_cluster_and_has_a_name_that_fits_a_label() -> None:
    definition = custom_resource_definition(MODELS)["spec"]
    assert (definition["scope"], definition["names"]["shortNames"]) == ("Cluster", ["vmodel"])
    (rule,) = schema_of(MODELS)["x-kubernetes-validations"]
    assert rule["rule"] == "self.metadata.name.size() <= 63"


def test_a_queue_cannot_change_while_the_video_is_made() -> None:
    (rule,) = SCHEMA["x-kubernetes-validations"]
    assert "queueName" in rule["message"]
    for phase in ("Queued", "Running"):
        assert f"'{phase}'" in rule["rule"]
    for optional in ("oldSelf.status", "oldSelf.spec.queueName", "self.spec.queueName"):
        assert f"has({optional})" in rule["rule"], "CEL fails on what is not there"

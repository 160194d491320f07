"""The CRD says what the models say."""

from typing import Any

from t2v_api.resource import SPEC_RULES
from t2v_operator.crd import custom_resource_definition, custom_resource_definition_yaml

SCHEMA = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]["properties"]


def test_every_field_is_explained() -> None:
    def unexplained(schema: dict[str, Any], at: str) -> list[str]:
        found = [] if schema.get("description") else [at]
        for name, field in schema.get("properties", {}).items():
            found += unexplained(field, f"{at}.{name}")
        items = schema.get("items", {})
        return found + (unexplained(items, f"{at}[]") if "properties" in items else [])

    for name in ("spec", "status"):
        assert unexplained(SCHEMA["properties"][name], name) == []


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


def test_nothing_is_left_that_a_structural_schema_forbids() -> None:
    text = custom_resource_definition_yaml()
    for word in ("$ref", "anyOf", "$defs", "title:", "additionalProperties: false"):
        assert word not in text


def test_what_no_operator_has_seen_has_no_generation_observed() -> None:
    assert SCHEMA["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_a_queue_cannot_change_while_the_video_is_made() -> None:
    (rule,) = SCHEMA["x-kubernetes-validations"]
    assert "queueName" in rule["message"]
    for phase in ("Queued", "Running"):
        assert f"'{phase}'" in rule["rule"]
    for optional in ("oldSelf.status", "oldSelf.spec.queueName", "self.spec.queueName"):
        assert f"has({optional})" in rule["rule"], "CEL fails on what is not there"

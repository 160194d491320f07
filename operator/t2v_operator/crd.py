"""Generate the CustomResourceDefinition from the resource's models. Pure; knows no cluster.

pydantic writes JSON Schema; Kubernetes wants a structural OpenAPI v3 schema:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from typing import Any

import yaml
from t2v_api.base import ContractModel
from t2v_api.resource import (
    GROUP,
    KIND,
    PLURAL,
    VERSION,
    TextToVideoJobSpec,
    TextToVideoJobStatus,
)

NOT_OBSERVED = -1
"""The observedGeneration of a resource that no operator has seen."""

Schema = dict[str, Any]

KEPT = (
    "type",
    "description",
    "enum",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "minimum",
    "maximum",
    "multipleOf",
    "required",
    "x-kubernetes-validations",
)
"""What means the same in both; the rest is translated or left to the pruning of unknown fields."""

QUEUE_MESSAGE = (
    "queueName cannot change while the video is queued or made; "
    "delete the resource and apply it with the other queue"
)
QUEUE_RULE = (
    "!(has(oldSelf.status) && has(oldSelf.status.phase) && "
    "oldSelf.status.phase in ['Queued', 'Running']) || "
    "(has(self.spec.queueName) ? self.spec.queueName : '') == "
    "(has(oldSelf.spec.queueName) ? oldSelf.spec.queueName : '')"
)
"""Kueue does not let a Job change its queue while it runs."""

LARGEST_EXACT = 2**53
"""The API server holds limits as float64; int64 itself limits what is above."""

COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Progress", "integer", ".status.progress.percent", 0),
    ("Model", "string", ".spec.modelId", 0),
    ("URL", "string", ".status.outputUrl", 1),
    ("Seed", "integer", ".status.resolved.seed", 1),
    ("Time", "number", ".status.generationTime", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def custom_resource_definition() -> Schema:
    """The manifest of the CRD."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["t2v", "t2vjob"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "priority": priority}
                        for name, kind, path, priority in COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": _resource()},
                }
            ],
        },
    }


def custom_resource_definition_yaml() -> str:
    """The manifest as the file in crds/ holds it."""
    document = yaml.safe_dump(custom_resource_definition(), sort_keys=False, width=100)
    return f"# Generated from the models by `t2v crd`; a test fails when it differs.\n{document}"


def _resource() -> Schema:
    return {
        "type": "object",
        "description": "One video to make.",
        "required": ["spec"],
        "x-kubernetes-validations": [{"rule": QUEUE_RULE, "message": QUEUE_MESSAGE}],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _structural(TextToVideoJobSpec),
            # Until an operator has seen it a resource must not look finished: kstatus takes one
            # without a status, or with the observedGeneration of its generation, for current.
            "status": {
                **_written_whole(_structural(TextToVideoJobStatus)),
                "default": {"observedGeneration": NOT_OBSERVED},
            },
        },
    }


def _written_whole(status: Schema) -> Schema:
    """The records in a status have one writer each: the API server need not track every field of
    them, which costs it more than all else about a write."""
    properties = {
        name: {**each, "x-kubernetes-map-type": "atomic"} if each["type"] == "object" else each
        for name, each in status["properties"].items()
    }
    return {**status, "properties": properties}


def _structural(model: type[ContractModel]) -> Schema:
    schema = model.model_json_schema(by_alias=True)
    return _translated(schema, schema.get("$defs", {}))


def _translated(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    if "$ref" in schema:
        referred = definitions[schema["$ref"].rsplit("/", 1)[1]]
        # The field's own description says more than its type's.
        return _translated({**referred, **_without(schema, "$ref")}, definitions)
    if "anyOf" in schema:
        return _nullable(schema, definitions)
    translated = {name: schema[name] for name in KEPT if name in schema}
    if "const" in schema:
        translated["enum"] = [schema["const"]]
    if translated.get("type") == "integer":
        translated["format"] = "int64"
    if translated.get("maximum", 0) > LARGEST_EXACT:
        del translated["maximum"]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if abs(schema.get(bound, LARGEST_EXACT)) < LARGEST_EXACT:
            translated |= {limit: schema[bound], bound: True}
    if schema.get("default") is not None and schema["default"] != []:
        translated["default"] = schema["default"]
    if "items" in schema:
        translated["items"] = _translated(schema["items"], definitions)
        if "lastTransitionTime" in translated["items"].get("properties", {}):
            # As in Kubernetes's own kinds: each condition may have a writer of its own.
            translated |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    if isinstance(schema.get("additionalProperties"), dict):
        values = schema["additionalProperties"]
        translated["additionalProperties"] = _translated(values, definitions)
    if "properties" in schema:
        translated["properties"] = {
            name: _translated(each, definitions) for name, each in schema["properties"].items()
        }
    return translated


def _nullable(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """`X | None`: OpenAPI says nullable where JSON Schema says anyOf."""
    (other,) = (each for each in schema["anyOf"] if each.get("type") != "null")
    merged = {**other, **_without(schema, "anyOf")}
    return {**_translated(merged, definitions), "nullable": True}


def _without(schema: Schema, name: str) -> Schema:
    return {key: value for key, value in schema.items() if key != name}

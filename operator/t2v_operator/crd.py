"""Generate the CustomResourceDefinitions from the resources' models. Pure; knows no cluster.

pydantic writes JSON Schema; Kubernetes wants a structural OpenAPI v3 schema:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

import hashlib
import json
from copy import deepcopy
from dataclasses import dataclass
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
from t2v_api.video_model import (
    MODEL_KIND,
    MODEL_PLURAL,
    NAME_RULE,
    VideoModelSpec,
    VideoModelStatus,
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
    "minProperties",
    "maxItems",
    "minimum",
    "maximum",
    "multipleOf",
    "required",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
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

DIGEST = f"{GROUP}/digest"
"""An annotation by which the chart tells whether a CRD in a cluster is its own."""

LARGEST_EXACT = 2**53
"""The API server holds limits as float64; int64 itself limits what is above."""


@dataclass(frozen=True)
class CustomKind:
    """One kind of resource, as its CRD tells it."""

    kind: str
    plural: str
    description: str
    scope: str
    short_names: tuple[str, ...]
    spec: type[ContractModel]
    status: type[ContractModel]
    rules: tuple[dict[str, str], ...]
    """That need more than the spec."""
    columns: tuple[tuple[str, str, str, int], ...]
    """Of `kubectl get`: name, type, path, and 1 where only `-o wide` shows it."""

    @property
    def name(self) -> str:
        """The CRD's."""
        return f"{self.plural}.{GROUP}"


AGE = ("Age", "date", ".metadata.creationTimestamp", 0)

VIDEOS = CustomKind(
    kind=KIND,
    plural=PLURAL,
    description="One video to make.",
    scope="Namespaced",
    short_names=("t2v", "t2vjob"),
    spec=TextToVideoJobSpec,
    status=TextToVideoJobStatus,
    rules=({"rule": QUEUE_RULE, "message": QUEUE_MESSAGE},),
    columns=(
        ("Phase", "string", ".status.phase", 0),
        ("Progress", "integer", ".status.progress.percent", 0),
        ("Model", "string", ".spec.modelId", 0),
        ("URL", "string", ".status.outputUrl", 1),
        ("Seed", "integer", ".status.resolved.seed", 1),
        ("Time", "number", ".status.generationTime", 1),
        AGE,
    ),
)

MODELS = CustomKind(
    kind=MODEL_KIND,
    plural=MODEL_PLURAL,
    description="One model of the catalogue, for the whole cluster.",
    scope="Cluster",
    short_names=("vmodel",),
    spec=VideoModelSpec,
    status=VideoModelStatus,
    rules=(NAME_RULE,),
    columns=(
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
        ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 0),
        ("Percent", "integer", ".status.percent", 0),
        ("Family", "string", ".spec.family", 0),
        ("Bytes", "integer", ".status.bytes", 0),
        ("Commit", "string", ".status.commit", 1),
        AGE,
    ),
)

CUSTOM_KINDS = (VIDEOS, MODELS)


def custom_resource_definition(of: CustomKind) -> Schema:
    """The manifest of the CRD of one kind."""
    spec = {
        "group": GROUP,
        "scope": of.scope,
        "names": {
            "kind": of.kind,
            "listKind": f"{of.kind}List",
            "plural": of.plural,
            "singular": of.kind.lower(),
            "shortNames": list(of.short_names),
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
                    for name, kind, path, priority in of.columns
                ],
                "schema": {"openAPIV3Schema": _resource(of)},
            }
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": of.name, "annotations": {DIGEST: _digest(spec)}},
        "spec": spec,
    }


def custom_resource_definition_yaml(of: CustomKind) -> str:
    """The manifest as its file in crds/ holds it."""
    document = yaml.safe_dump(custom_resource_definition(of), sort_keys=False, width=100)
    return f"# Generated from the models by `t2v crd`; a test fails when it differs.\n{document}"


def _digest(spec: Schema) -> str:
    """Other than the spec itself, which the API server completes, it comes back as it was."""
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
    return f"sha256:{digest}"


def _resource(of: CustomKind) -> Schema:
    return {
        "type": "object",
        "description": of.description,
        "required": ["spec"],
        "x-kubernetes-validations": list(of.rules),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _structural(of.spec),
            # Until an operator has seen it a resource must not look finished: kstatus takes one
            # without a status, or with the observedGeneration of its generation, for current.
            "status": {
                **_written_whole(_structural(of.status)),
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
    # Each its own copy: YAML would write what is the same list as an alias.
    translated = {name: deepcopy(schema[name]) for name in KEPT if name in schema}
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
        translated["default"] = _as_served(schema["default"])
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


def _as_served(default: Any) -> Any:
    """Of an object, what is null is left out, as the API server has it; helm has 1 for 1.0."""
    if isinstance(default, float) and default.is_integer():
        return int(default)
    if not isinstance(default, dict):
        return default
    return {name: value for name, value in default.items() if value is not None}


def _without(schema: Schema, name: str) -> Schema:
    return {key: value for key, value in schema.items() if key != name}

"""JSON schemas of Kubernetes's own kinds, from the OpenAPI document of a version's Go module.

kubeconform would take them from the network. Made once for each version, into the harness's cache.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness.go_programs import go_command
from harness.layout import CACHE

VERSIONS = ("v1.30.14", "v1.31.14", "v1.32.13", "v1.33.13", "v1.34.4", "v1.35.4")
"""The last release of each; 1.34's is the one that the tests' cluster runs."""

Schema = dict[str, Any]


def schemas_of(version: str) -> Path:
    """A folder with one file for each kind, named as kubeconform's templates say it."""
    folder = CACHE / f"kubernetes-schemas-{version}"
    if not folder.exists():
        unfinished = Path(tempfile.mkdtemp(dir=CACHE, prefix=".schemas-"))
        for name, schema in standalone_schemas(_open_api(version)).items():
            (unfinished / f"{name}.json").write_text(json.dumps(schema))
        unfinished.rename(folder)
    return folder


def standalone_schemas(open_api: Schema) -> dict[str, Schema]:
    """`kind-group-version`: a schema that refers to nothing and allows no other fields."""
    definitions = open_api["definitions"]
    found = {}
    for definition in definitions.values():
        for of in definition.get("x-kubernetes-group-version-kind", ()):
            # `DeleteOptions` and the like belong to every group, and to no manifest.
            if len(definition["x-kubernetes-group-version-kind"]) > 1:
                continue
            group = of["group"].split(".")[0]
            name = "-".join(each for each in (of["kind"].lower(), group, of["version"]) if each)
            found[name] = closed(definition, definitions, of)
    return found


def closed(definition: Schema, definitions: dict[str, Schema], of: dict[str, str]) -> Schema:
    """One kind's schema; `apiVersion` and `kind` are its own."""
    schema = _expanded(definition, definitions, ())
    api_version = "/".join(each for each in (of["group"], of["version"]) if each)
    schema["properties"]["apiVersion"] = {"const": api_version}
    schema["properties"]["kind"] = {"const": of["kind"]}
    return schema


def _expanded(schema: Schema, definitions: dict[str, Schema], within: tuple[str, ...]) -> Schema:
    """Without references; what refers to itself (a CRD's schema of schemas) is left open."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        if name in within:
            return {}
        if name.endswith(".Quantity"):  # OpenAPI says string; the API server takes numbers, too
            return {"type": ["string", "number"]}
        return _expanded(definitions[name], definitions, (*within, name))
    if schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    expanded = {key: schema[key] for key in ("type", "required", "enum") if key in schema}
    if "items" in schema:
        expanded["items"] = _expanded(schema["items"], definitions, within)
    if isinstance(schema.get("additionalProperties"), dict):
        values = schema["additionalProperties"]
        expanded["additionalProperties"] = _expanded(values, definitions, within)
    if "properties" in schema:
        expanded["properties"] = {
            name: _expanded(each, definitions, within)
            for name, each in schema["properties"].items()
        }
        expanded["additionalProperties"] = False
    return expanded


def _open_api(version: str) -> Schema:
    """The module is 300 MB of Go, of which one file is wanted: it is not kept."""
    modules = Path(tempfile.mkdtemp(dir=CACHE, prefix=".modules-"))
    try:
        words = ["mod", "download", "-json", f"k8s.io/kubernetes@{version}"]
        environment = {"GOMODCACHE": str(modules), "GOFLAGS": "-modcacherw"}
        told = go_command(*words, cwd=modules, environment=environment, timeout_seconds=900)
        document = Path(json.loads(told)["Dir"]) / "api" / "openapi-spec" / "swagger.json"
        found: Schema = json.loads(document.read_text())
        return found
    finally:
        shutil.rmtree(modules)

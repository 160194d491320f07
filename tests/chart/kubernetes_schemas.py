"""JSON schemas for kubeconform, which would take them from the network.

They are made from the OpenAPI document of a version of Kubernetes, and from the CRDs of others.
Both lie in Go modules. Made once, into the harness's cache.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from harness.go_programs import go_command
from harness.layout import CACHE

VERSIONS = ("v1.30.14", "v1.31.14", "v1.32.13", "v1.33.13", "v1.34.4", "v1.35.4")
"""The last release of each; 1.34's is the one that the tests' cluster runs."""

CRDS = {
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": "example/prometheus-operator-crd",
    "sigs.k8s.io/gateway-api@v1.4.1": "config/crd/standard",
}
"""Modules, and where in them the CRDs of the chart's monitors and routes are."""

Schema = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 gives a lone = a meaning, of which nobody knows; it is the text "=" here."""


_Loader.add_constructor("tag:yaml.org,2002:value", _Loader.construct_yaml_str)


def schemas_of(version: str) -> Path:
    """A folder with one file for each of Kubernetes's kinds, named as kubeconform asks for it."""

    def made() -> dict[str, Schema]:
        with _go_module(f"k8s.io/kubernetes@{version}") as folder:
            document = folder / "api" / "openapi-spec" / "swagger.json"
            return schemas_of_kinds(json.loads(document.read_text()))

    return _kept(f"kubernetes-schemas-{version}", made)


def schemas_of_crds() -> Path:
    """The same of `CRDS`."""

    def made() -> dict[str, Schema]:
        found: dict[str, Schema] = {}
        for module, crds in CRDS.items():
            with _go_module(module) as folder:
                for file in sorted((folder / crds).glob("*.yaml")):
                    found |= schemas_of_crd(yaml.load(file.read_text(), _Loader))
        return found

    return _kept("crd-schemas", made)


def schemas_of_kinds(open_api: Schema) -> dict[str, Schema]:
    """`kind-group-version`: a schema that refers to nothing and allows no other fields."""
    definitions = open_api["definitions"]
    found = {}
    for definition in definitions.values():
        kinds = definition.get("x-kubernetes-group-version-kind", ())
        # `DeleteOptions` and the like belong to every group, and to no manifest.
        if len(kinds) == 1:
            schema = _closed(definition, definitions, ())
            found |= _named(schema, kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"])
    return found


def schemas_of_crd(crd: Schema) -> dict[str, Schema]:
    """The same of a CRD; empty for what is none."""
    if not crd or crd.get("kind") != "CustomResourceDefinition":
        return {}
    found = {}
    for version in crd["spec"]["versions"]:
        schema = _closed(version["schema"]["openAPIV3Schema"], {}, ())
        schema["properties"]["metadata"] = {"type": "object"}
        names = crd["spec"]["names"]
        found |= _named(schema, crd["spec"]["group"], version["name"], names["kind"])
    return found


def _named(schema: Schema, group: str, version: str, kind: str) -> dict[str, Schema]:
    api_version = "/".join(each for each in (group, version) if each)
    schema["properties"]["apiVersion"] = {"const": api_version}
    schema["properties"]["kind"] = {"const": kind}
    words = (kind.lower(), group.split(".")[0], version)
    return {"-".join(each for each in words if each): schema}


def _closed(schema: Schema, definitions: dict[str, Schema], within: tuple[str, ...]) -> Schema:
    """Without references; what refers to itself (a CRD's schema of schemas) is left open."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        if name in within:
            return {}
        if name.endswith(".Quantity"):  # OpenAPI says string; the API server takes numbers, too
            return {"type": ["string", "number"]}
        return _closed(definitions[name], definitions, (*within, name))
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: schema[key] for key in ("type", "required", "enum") if key in schema}
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, _closed(_not_null(schema), definitions, within)]}
    if "items" in schema:
        closed["items"] = _closed(schema["items"], definitions, within)
    if isinstance(schema.get("additionalProperties"), dict):
        values = schema["additionalProperties"]
        closed["additionalProperties"] = _closed(values, definitions, within)
    if "properties" in schema:
        closed["properties"] = {
            name: _closed(each, definitions, within) for name, each in schema["properties"].items()
        }
        closed["additionalProperties"] = schema.get("x-kubernetes-preserve-unknown-fields", False)
    return closed


def _not_null(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "nullable"}


def _kept(name: str, made: Callable[[], dict[str, Schema]]) -> Path:
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=CACHE, prefix=f".{name}-"))
        for kind, schema in made().items():
            (unfinished / f"{kind}.json").write_text(json.dumps(schema))
        unfinished.rename(folder)
    return folder


@contextmanager
def _go_module(module: str) -> Iterator[Path]:
    """Its sources, for as long as they are read: of 300 MB of Kubernetes one file is wanted."""
    modules = Path(tempfile.mkdtemp(dir=CACHE, prefix=".modules-"))
    try:
        environment = {"GOMODCACHE": str(modules), "GOFLAGS": "-modcacherw"}
        words = ("mod", "download", "-json", module)
        told = go_command(*words, cwd=modules, environment=environment, timeout_seconds=900)
        yield Path(json.loads(told)["Dir"])
    finally:
        shutil.rmtree(modules)

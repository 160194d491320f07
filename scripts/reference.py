"""The reference pages, from the schemas of the resources and of the configuration. Pure.

A page has a section for each object and a row for each of its fields: name, type, what it means,
its limits and its default. Works on the CRDs' structural schemas and on pydantic's JSON Schema.
"""

import re
from collections.abc import Iterator
from typing import Any

from t2v_api.base import ContractModel
from t2v_api.resource import DNS_LABEL, DNS_SUBDOMAIN, NOT_BLANK
from t2v_gateway.settings import GatewaySettings
from t2v_operator.config import OperatorConfig
from t2v_operator.crd import MODELS, NOT_OBSERVED, VIDEOS, CustomKind, custom_resource_definition

Schema = dict[str, Any]

GENERATED = "<!-- Written by scripts/generate.py from the models; a test fails when it differs. -->"
LONGEST_DEFAULT = 60
MEANT_LITERALLY = {each: f"&#{ord(each)};" for each in "&<>|[]()*_`~" + chr(92)}
"""Markdown has a meaning for them."""
HELD_BY_INT64 = 2**53
"""A limit beyond it says nothing but that the field is an integer."""
PATTERNS_IN_WORDS = {
    NOT_BLANK: "Not blank.",
    DNS_LABEL: "A DNS label: small letters, digits and `-`.",
    DNS_SUBDOMAIN: "A DNS name: small letters, digits, `-` and `.`.",
}


def reference_pages() -> dict[str, str]:
    """Name and text of each page."""
    return {
        "texttovideojob.md": resource_page(VIDEOS, "make a video"),
        "videomodel.md": resource_page(MODELS, "offer a model"),
        "operator.md": configuration_page(
            OperatorConfig,
            "Operator configuration",
            "`config` in the chart's values, or the file that `t2v operator --config` reads. "
            "[Configuration](../configuration.md) has what most installations set.",
        ),
        "gateway.md": configuration_page(
            GatewaySettings,
            "Gateway configuration",
            "`gateway.config` in the chart's values. What it does: [the gateway](../gateway.md).",
        ),
    }


def resource_page(of: CustomKind, purpose: str) -> str:
    """The page of one kind: how it is named, its spec, its status."""
    crd = custom_resource_definition(of)
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    names = crd["spec"]["names"]
    rules = schema["spec"].get("x-kubernetes-validations", []) + list(of.rules)
    return _page(
        GENERATED,
        f"# {of.kind}",
        f"`kubectl explain {names['shortNames'][0]}.spec` shows the same fields. "
        f"To {purpose} write `spec`; `status` is the operator's. A field that has no default may "
        "be left out or null, unless it is required.",
        _table(
            ("", ""),
            [
                ("apiVersion", f"`{crd['spec']['group']}/{version['name']}`"),
                ("scope", of.scope),
                ("short names", ", ".join(f"`{each}`" for each in of.short_names)),
                ("`kubectl get` shows", _columns(of, 0)),
                ("with `-o wide` also", _columns(of, 1)),
            ],
        ),
        *_sections("spec", schema["spec"], {}),
        "## Rules",
        "The API server refuses what breaks one of them, with these words:",
        "\n".join(f"- {rule['message']}" for rule in rules),
        *_sections("status", _without_placeholder(schema["status"]), {}),
    )


def configuration_page(model: type[ContractModel], title: str, where: str) -> str:
    """The page of one configuration model."""
    schema = model.model_json_schema(by_alias=True)
    return _page(
        GENERATED,
        f"# {title}",
        f"{where} An unknown field or a value out of its limits stops the program at its start, "
        "with the path of what is wrong.",
        *_sections("", schema, schema.get("$defs", {})),
    )


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _columns(of: CustomKind, priority: int) -> str:
    return ", ".join(name for name, _, _, each in of.columns if each == priority)


def _without_placeholder(status: Schema) -> Schema:
    """The CRD's own default of the status says only that nobody has looked yet."""
    assert status["default"] == {"observedGeneration": NOT_OBSERVED}
    return {name: value for name, value in status.items() if name != "default"}


def _sections(path: str, schema: Schema, definitions: dict[str, Schema]) -> Iterator[str]:
    """The object's section, then those of the objects in it, depth first."""
    told = _told(schema, definitions)
    required = told.get("required", [])
    if path:
        yield f"{'##' if _is_at_the_top(path) else '###'} {path}"
        yield _one_line(told.get("description", ""))
    rows, inner = [], []
    for name, field in told["properties"].items():
        where = f"{path}.{name}" if path else name
        rows.append(_row(where, name, field, name in required, definitions))
        inner += _objects_in(where, field, definitions)
    yield _table(("field", "type", "what it says"), rows)
    for where, each in inner:
        yield from _sections(where, each, definitions)


def _is_at_the_top(path: str) -> bool:
    return "." not in path


def _told(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """The schema itself where it stands for another; null beside it is left out."""
    if "$ref" in schema:
        referred = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return _told({**referred, **_without(schema, "$ref")}, definitions)
    others = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(others) == 1:
        return _told({**others[0], **_without(schema, "anyOf")}, definitions)
    return schema


def _without(schema: Schema, name: str) -> Schema:
    return {key: value for key, value in schema.items() if key != name}


def _objects_in(
    path: str, schema: Schema, definitions: dict[str, Schema]
) -> list[tuple[str, Schema]]:
    """The objects with fields that stand in a field, each with its path."""
    told = _told(schema, definitions)
    if "oneOf" in told:
        kinds = (_told(each, definitions) for each in told["oneOf"])
        return [(f"{path} ({_kinds(each)})", each) for each in kinds]
    if "properties" in told:
        return [(path, told)]
    if "items" in told:
        return _objects_in(f"{path}[]", told["items"], definitions)
    if isinstance(told.get("additionalProperties"), dict):
        return _objects_in(f"{path}.NAME", told["additionalProperties"], definitions)
    return []


def _kinds(schema: Schema) -> str:
    """What `kind` is in one of several objects that are told apart by it."""
    kind = schema["properties"]["kind"]
    return ", ".join(kind.get("enum") or [kind["const"]])


def _row(
    path: str, name: str, schema: Schema, is_required: bool, definitions: dict[str, Schema]
) -> tuple[str, str, str]:
    told = _told(schema, definitions)
    says = [
        _one_line(told.get("description", "") or _of_each(told, definitions)),
        "**Required.**" if is_required else "",
        _limits(told, definitions),
        _default(told),
    ]
    identity = "-".join(re.findall(r"\w+", path))
    return (
        f'<code id="{identity}">{name}</code>',
        _type(told, definitions),
        " ".join(filter(None, says)),
    )


def _of_each(told: Schema, definitions: dict[str, Schema]) -> str:
    """What the entries of a list are, where nobody has said what the list is."""
    return str(_told(told.get("items", {}), definitions).get("description", ""))


def _type(told: Schema, definitions: dict[str, Schema]) -> str:
    if "oneOf" in told:
        return "object"
    if told.get("type") == "array":
        return f"list of {_type(_told(told['items'], definitions), definitions)}"
    if told.get("type") == "object" and isinstance(told.get("additionalProperties"), dict):
        return f"map of {_type(_told(told['additionalProperties'], definitions), definitions)}"
    if told.get("format") == "date-time":
        return "time"
    return str(told.get("type", "any"))


def _limits(told: Schema, definitions: dict[str, Schema]) -> str:
    """In words, a sentence each."""
    if told.get("type") == "array":
        of_each = _limits(_told(told["items"], definitions), definitions)
        return " ".join(filter(None, (_count(told, "Items", "entries"), of_each)))
    values = told.get("enum", [told["const"]] if "const" in told else [])
    said = [
        _choice(values),
        _count(told, "Length", "characters"),
        _range(told),
        _pattern(told),
    ]
    return " ".join(filter(None, said))


def _choice(values: list[Any]) -> str:
    if len(values) < 2:
        return "".join(f"Always {_code(value)}." for value in values)
    return f"One of {', '.join(map(_code, values[:-1]))}, {_code(values[-1])}."


def _pattern(told: Schema) -> str:
    pattern = told.get("pattern")
    if pattern is None:
        return ""
    return PATTERNS_IN_WORDS.get(pattern, f"Matches {_code(pattern)}.")


def _count(told: Schema, what: str, unit: str) -> str:
    least, most = told.get(f"min{what}", 0), told.get(f"max{what}")
    if most is not None:
        return f"{least} to {most} {unit}." if least else f"Up to {most} {unit}."
    return f"At least {least} {unit}." if least > 1 else ""


def _range(told: Schema) -> str:
    least, is_open = _bound(told, "minimum", "exclusiveMinimum")
    most, _ = _bound(told, "maximum", "exclusiveMaximum")
    parts = []
    if least is not None and most is not None and not is_open:
        parts.append(f"{least} to {most}")
    elif least is not None:
        parts.append(f"above {least}" if is_open else f"at least {least}")
        parts += [f"at most {most}"] if most is not None else []
    elif most is not None:
        parts.append(f"at most {most}")
    if "multipleOf" in told:
        parts.append(f"a multiple of {told['multipleOf']}")
    said = ", ".join(parts)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _bound(told: Schema, name: str, exclusive: str) -> tuple[float | int | None, bool]:
    """The limit, and whether it is itself excluded, as OpenAPI 3.0 or as JSON Schema says it."""
    is_open = exclusive in told
    limit = told.get(name, None if told.get(exclusive) is True else told.get(exclusive))
    if limit is None or abs(limit) >= HELD_BY_INT64:
        return None, False
    return limit, is_open


def _default(told: Schema) -> str:
    default = told.get("default")
    if default is None or default in ("", [], {}):
        return ""
    text = _code(default)
    if isinstance(default, dict) or len(text) > LONGEST_DEFAULT:
        return ""  # said by its own fields
    return f"**Default:** {text}"


def _code(value: Any) -> str:
    """A value as YAML has it. Not between backticks: a bar in them ends the cell of some tables."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<code>{''.join(MEANT_LITERALLY.get(each, each) for each in text)}</code>"


def _one_line(text: str) -> str:
    line = " ".join(text.split()).replace("|", "&#124;")
    return line if not line or line.endswith((".", ":")) else f"{line}."


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

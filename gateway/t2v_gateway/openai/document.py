"""What the OpenAPI document says of bodies, which are read by hand: JSON, or a form with a file."""

from typing import Any

from pydantic import BaseModel

from t2v_gateway.openai.reading import FILE_FIELD

DEFINITION = "#/$defs/"


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """An operation's `requestBody`."""
    schema = model.model_json_schema(ref_template=f"{DEFINITION}{{model}}")
    json_body = _inlined(schema, schema.pop("$defs", {}))
    form = dict(json_body)
    if FILE_FIELD in json_body["properties"]:
        file = {"type": "string", "format": "binary", "description": "An image to start from"}
        form["properties"] = json_body["properties"] | {FILE_FIELD: file}
    content = {"application/json": json_body, "multipart/form-data": form}
    by_type = {kind: {"schema": schema} for kind, schema in content.items()}
    return {"requestBody": {"required": True, "content": by_type}}


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    """A reference within a schema would be looked up in the whole document."""
    if isinstance(part, list):
        return [_inlined(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if name := str(part.get("$ref", "")).removeprefix(DEFINITION):
        part = definitions[name] | {key: value for key, value in part.items() if key != "$ref"}
    return {key: _inlined(value, definitions) for key, value in part.items()}

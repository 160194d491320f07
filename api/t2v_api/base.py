"""The base of every model in the contract: frozen, strict, camelCase in JSON."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class ContractError(ValueError):
    """A document does not fit the contract. One line for each thing that is wrong."""


class ContractModel(BaseModel):
    """A frozen record. JSON out and in without loss; unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @classmethod
    def parse(cls, document: Any, at: str = "") -> Self:
        """Build the record from plain JSON data.

        `at` names where the document stands ("spec"), for the message.
        Raises ContractError.
        """
        return cls.parse_json(json.dumps(document), at)

    @classmethod
    def parse_json(cls, text: str | bytes, at: str = "") -> Self:
        """Build the record from JSON text. Raises ContractError."""
        try:
            return cls.model_validate_json(text, by_alias=True, by_name=False)
        except ValidationError as error:
            raise ContractError(
                "\n".join(_line(detail, at, cls) for detail in error.errors())
            ) from None

    def document(self) -> dict[str, Any]:
        """The record as plain JSON data; fields that are null are left out."""
        data: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return data

    def json_line(self) -> str:
        """The record as one line of JSON, keys sorted: equal records, equal lines."""
        return json.dumps(self.document(), sort_keys=True, separators=(",", ":"))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a message: "; did you mean 'prompt'?", or the known names, or nothing."""
    names = list(known)
    folded = {candidate.lower(): candidate for candidate in names}
    close = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    close = close or [key for key in folded if name and key.startswith(name.lower())]
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    return f"; known are {', '.join(sorted(names))}" if names else ""


def _line(detail: Any, at: str, model: type[ContractModel]) -> str:
    path = ".".join(str(part) for part in (at, *detail["loc"]) if part != "")
    message = _message(detail, model)
    return f"{path}: {message}" if path else message


def _message(detail: Any, model: type[ContractModel]) -> str:
    kind, message, given = detail["type"], detail["msg"], detail["input"]
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return f"unknown field{nearest(str(detail['loc'][-1]), _known_at(detail['loc'], model))}"
    if kind in ("value_error", "json_invalid"):
        return str(message.removeprefix("Value error, "))
    if kind == "string_pattern_mismatch" and not given.strip():
        return "must not be blank"
    return f"{message}, not {_shortened(given)}{_hint(detail)}"


def _known_at(loc: tuple[int | str, ...], model: type[ContractModel]) -> list[str]:
    """The field names of the record that the last part of `loc` stands in."""
    for part in loc[:-1]:
        by_alias = {field.alias: field for field in model.model_fields.values()}
        if part in by_alias:
            model = _record_in(by_alias[part].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _record_in(annotation: Any) -> type[ContractModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, ContractModel):
        return annotation
    return next(filter(None, map(_record_in, get_args(annotation))), None)


def _hint(detail: Any) -> str:
    if detail["type"] != "enum" or not isinstance(detail["input"], str):
        return ""
    expected = detail.get("ctx", {}).get("expected", "")
    names = [name.strip(" '") for name in expected.replace(" or ", ",").split(",")]
    hint = nearest(detail["input"], names)
    return hint if "did you mean" in hint else ""


def _shortened(value: Any, limit: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"

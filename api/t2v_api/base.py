"""The base of every model in the contract: frozen, strict, camelCase in JSON."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


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

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_fields(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = [name for name in value if name not in known and name not in cls.model_fields]
        if unknown:
            advice = ", ".join(f"unknown field {n!r}{nearest(str(n), known)}" for n in unknown)
            raise PydanticCustomError("unknown_field", "{advice}", {"advice": advice})
        return value

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
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ContractError("\n".join(_lines(error, at))) from None

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


def _lines(error: ValidationError, at: str) -> list[str]:
    return [_line(detail, at) for detail in error.errors(include_url=False)]


def _line(detail: Any, at: str) -> str:
    path = ".".join(str(part) for part in (at, *detail["loc"]) if part != "")
    message = detail["msg"]
    if detail["type"] == "missing":
        message = "is required"
    elif detail["type"] == "string_pattern_mismatch" and not str(detail["input"]).strip():
        message = "must not be blank"
    elif detail["type"] not in ("unknown_field", "value_error", "json_invalid"):
        message = f"{message}, not {_shortened(detail['input'])}{_hint(detail)}"
    message = message.removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


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

"""From the form's fields to a request, and from a refusal to the field that it is about.

The form sends what was typed. What is wrong with it the contract says, as it says to everybody.
"""

import re
from typing import Any

from t2v_api.base import ContractError
from t2v_api.resource import TextToVideoJobSpec

from t2v_gateway.errors import Refused
from t2v_gateway.repeating import FIELDS

WHOLE = frozenset({"width", "height", "numInferenceSteps", "numFrames", "fps", "seed"})
BROKEN = frozenset({"guidanceScale", "strength"})
MEDIA = ("initImage", "endImage", "initVideo")
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_BROKEN = re.compile(r"[+-]?[0-9]{1,20}([.,][0-9]{0,20})?")

Problem = dict[str, str | None]


class Wrong(Refused):
    """What is wrong with a request, field by field."""

    def __init__(self, problems: list[Problem], status: int = 400) -> None:
        super().__init__(status, "; ".join(str(each["message"]) for each in problems))
        self.problems = problems


def spec_of(given: Any) -> TextToVideoJobSpec:
    """The request in the form's fields. Raises Wrong."""
    if not isinstance(given, dict):
        raise Wrong([_problem(None, "the fields are not there")])
    document, problems = {}, []
    for field, value in given.items():
        if value is None or value == "" or value == []:
            continue
        try:
            document[field] = _value(field, value)
        except ValueError as error:
            problems.append(_problem(field if field in FIELDS else None, str(error)))
    try:
        spec = TextToVideoJobSpec.parse(document)
    except ContractError as error:
        said = {each["field"] for each in problems}
        problems += [each for each in problems_in(str(error)) if each["field"] not in said]
        raise Wrong(problems) from None
    if problems:
        raise Wrong(problems)
    return spec


def problems_in(message: str) -> list[Problem]:
    """A refusal's lines, each with the field that it names, if it names one."""
    return [_problem(*_split(line)) for line in message.splitlines() if line]


def _split(line: str) -> tuple[str | None, str]:
    path, colon, rest = line.partition(": ")
    field = path.split(".")[0]
    if colon and field in FIELDS:
        return field, rest
    # Some fields are named like plain words: "prompt" within a sentence is none.
    first, quoted = re.findall(r"^[A-Za-z0-9]+", line), re.findall(r"'([A-Za-z0-9]+)'", line)
    others = (word for word in re.findall(r"[A-Za-z0-9]+", line) if not word.islower())
    return next((word for word in (*first, *quoted, *others) if word in FIELDS), None), line


def _value(field: str, value: Any) -> Any:
    """What was typed as what it means. Raises ValueError."""
    if field not in FIELDS:
        raise ValueError(f"{str(field)[:60]!r} is no field of this form")
    if field in MEDIA and str(value).strip().lower().startswith("file:"):
        raise ValueError("must be an address that begins with https://, http:// or store://")
    if not isinstance(value, str):
        return value
    text = value.strip()
    if field in WHOLE:
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"must be a whole number, not {text[:40]!r}")
        return int(text)
    if field in BROKEN:
        if not _BROKEN.fullmatch(text):
            raise ValueError(f"must be a number, not {text[:40]!r}")
        return float(text.replace(",", "."))
    return text if field in MEDIA else value


def _problem(field: str | None, message: str) -> Problem:
    return {"field": field, "message": message}

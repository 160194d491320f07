"""Read one attribute's value: numbers and switches come as themselves or as text.

What is not allowed is refused in the endpoint's words: the attribute, its value, what is allowed.
"""

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from t2v_api.base import nearest

from t2v_gateway.bodies import File
from t2v_gateway.errors import Refused

Read = Callable[[str, Any], Any]
"""From an attribute's name and what was given to its value. Raises Refused."""

SHOWN_CHARACTERS = 80
SWITCHES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
NOT_IN_A_TEXT = re.compile("[\0\ud800-\udfff]")
"""NUL, and halves of characters, which no UTF-8 can say."""


def is_absent(value: Any) -> bool:
    """Whether it is as if it had not been sent: null, nothing, or the word null."""
    if not isinstance(value, str):
        return value is None
    text = value.strip()
    # To make a long one lower takes twelve bytes a letter on the way.
    return len(text) <= len("null") and text.lower() in ("", "null")


def refused(name: str, value: Any, allowed: str) -> Refused:
    """What is said of a value that is not allowed."""
    return Refused(400, f"{name} is {shown(value)}; {allowed}")


def shown(value: Any) -> str:
    """A value as a message shows it: shortened, and always printable."""
    if isinstance(value, File):
        return str(value)
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, str):
        start = value[:SHOWN_CHARACTERS].encode("utf-8", "replace").decode()
        more = f"… ({len(value)} characters)" if len(value) > SHOWN_CHARACTERS else ""
        return json.dumps(start, ensure_ascii=False) + more
    return json.dumps(value)


def whole(least: int, most: int, multiple: int = 1) -> Read:
    """A whole number in a range."""
    kind = f"a multiple of {multiple}" if multiple > 1 else "a whole number"
    allowed = f"it must be {kind} from {least} to {most}"

    def read(name: str, value: Any) -> int:
        number = _number(value)
        if number is None or not least <= number <= most or number % multiple:
            raise refused(name, value, allowed)
        return int(number)

    return read


def number(least: float, most: float, above: bool = False) -> Read:
    """A number in a range. `above`: the least itself is not in it."""
    start = f"above {least:g}, at most" if above else f"from {least:g} to"
    allowed = f"it must be a number {start} {most:g}"

    def read(name: str, value: Any) -> float:
        given = _number(value)
        low = given is None or given < Decimal(least) or (above and given == Decimal(least))
        if given is None or low or given > Decimal(most) or (above and float(given) == least):
            raise refused(name, value, allowed)
        return float(given)

    return read


def _number(value: Any) -> Decimal | None:
    """Exactly; None where it is no finite number."""
    if isinstance(value, bool):
        return None
    text = value.strip() if isinstance(value, str) else repr(value)
    if not isinstance(value, str | int | float) or not NUMBER.fullmatch(text):
        return _of_float(value)
    return Decimal(text)


def _of_float(value: Any) -> Decimal | None:
    """One whose text has more digits than a number that people write: far out of every range."""
    is_finite = isinstance(value, float) and abs(value) < float("inf")
    return Decimal(value) if is_finite else None


def switch(name: str, value: Any) -> bool:
    """Yes or no, in any case, as a boolean, or as 1 and 0."""
    given = str(value).strip().lower() if isinstance(value, str | bool | int) else ""
    if given not in SWITCHES:
        raise refused(name, value, "it must be yes or no")
    return SWITCHES[given]


def text(most: int) -> Read:
    """As it was sent, not longer than so many characters."""

    def read(name: str, value: Any) -> str:
        given = _text(name, value)
        if len(given) > most:
            raise refused(name, given, f"it may have {most} characters at most")
        return given

    return read


def label(most: int) -> Read:
    """A text that programs give, some of them as a whole number."""
    read_text = text(most)

    def read(name: str, value: Any) -> str:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        given: str = read_text(name, str(value) if is_number else value)
        return given

    return read


def pattern(expression: str, most: int, allowed: str) -> Read:
    """A text of a certain form, without the blanks around it."""
    form = re.compile(expression)

    def read(name: str, value: Any) -> str:
        given = _text(name, value).strip()
        if len(given) > most or not form.fullmatch(given):
            raise refused(name, given, allowed)
        return given

    return read


def one_of(names: Iterable[str]) -> Read:
    """One of a few names."""
    known = tuple(names)

    def read(name: str, value: Any) -> str:
        given = _text(name, value).strip()
        if given not in known:
            hint = nearest(given[:SHOWN_CHARACTERS], known)
            meant = hint.removeprefix("; ") if "did you mean" in hint else ""
            raise refused(name, value, f"{meant} allowed are {', '.join(known)}".strip())
        return given

    return read


def address(schemes: tuple[str, ...], most: int = 2048) -> Read:
    """A URL."""
    allowed = f"it must be an address that begins with {' or '.join(schemes)}"

    def read(name: str, value: Any) -> str:
        given = _text(name, value).strip()
        if len(given) > most:
            raise refused(name, given, f"it may have {most} characters at most")
        if not given.startswith(schemes) or re.search(r"\s", given) or not _has_a_host(given):
            raise refused(name, given, allowed)
        return given

    return read


def _has_a_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).netloc)
    except ValueError:
        return False


def _text(name: str, value: Any) -> str:
    if isinstance(value, File):
        raise refused(name, value, "send files to upload_image, and its answer here")
    if not isinstance(value, str):
        raise refused(name, value, "it must be a text")
    if NOT_IN_A_TEXT.search(value):
        raise refused(name, value, "it holds characters that no text has: NUL, or half a character")
    return value

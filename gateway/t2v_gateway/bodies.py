"""Read a request's body, whatever its Content-Type says: JSON, a form, or nothing at all."""

import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from t2v_gateway.errors import Refused

Body = dict[str, Any]


async def read_bytes(request: Request, most: int) -> bytes:
    """The body, at most so many bytes. Raises Refused."""
    told = request.headers.get("content-length", "0")
    size, body = 0, bytearray()
    if told.isdecimal() and int(told) > most:
        raise _too_large(most)
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        body += chunk
    return bytes(body)


async def read_body(request: Request, most: int) -> Body:
    """The body's attributes. Raises Refused."""
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        async with request.form(max_files=0, max_fields=100, max_part_size=most) as form:
            return {name: value for name, value in form.multi_items() if isinstance(value, str)}
    return attributes_of(await read_bytes(request, most))


def attributes_of(raw: bytes) -> Body:
    """The attributes in a body, which looks like JSON or like a form. Raises Refused."""
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8") from None
    if not text:
        return {}
    if text[0] in '{["' or "=" not in text:
        return _json(text)
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise Refused(400, "the form has more than 100 fields") from None


def _json(text: str) -> Body:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(document, dict):
        raise Refused(400, "the body is not a JSON object")
    return document


def _too_large(most: int) -> Refused:
    return Refused(413, f"the body is larger than {most} bytes")

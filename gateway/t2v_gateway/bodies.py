"""Read a request's body, whatever its Content-Type says: JSON, a form, or nothing at all."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from t2v_gateway.errors import Refused

Body = dict[str, Any]

MOST_FIELDS = 100
"""Of a form."""
MOST_FILES = 1
MOST_DIGITS = 40
"""A longer whole number is kept as its text: no attribute has that many."""
BODY_SECONDS = 30.0
"""How long a body may take to come."""


@dataclass(frozen=True)
class File:
    """A file in a form."""

    data: bytes

    def __repr__(self) -> str:
        return f"a file of {len(self.data)} bytes"


async def read_bytes(request: Request, most: int, seconds: float = BODY_SECONDS) -> bytes:
    """The body, at most so many bytes. Raises Refused."""
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told[:20]) > most:
        raise _too_large(most)
    size, chunks = 0, []
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise _too_large(most)
                chunks.append(chunk)
    except TimeoutError:
        raise Refused(408, f"the body took longer than {seconds:.0f} s") from None
    except ClientDisconnect:
        raise Refused(400, "the body ended before its end") from None
    return b"".join(chunks)


async def read_body(request: Request, most: int, seconds: float = BODY_SECONDS) -> Body:
    """The body's attributes. Raises Refused."""
    return await attributes_of(await read_bytes(request, most, seconds))


async def attributes_of(raw: bytes) -> Body:
    """The attributes in a body, which looks like JSON or like a form. Raises Refused."""
    if raw.startswith(b"--"):
        return await _multipart(raw)
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8") from None
    if not text:
        return {}
    if text[0] in '{["' or "=" not in text:
        return _json(text)
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Refused(400, f"the body is a form of more than {MOST_FIELDS} fields") from None


def _json(text: str) -> Body:
    try:
        document = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {_printable(str(error))[:200]}") from None
    if not isinstance(document, dict):
        raise Refused(400, "the body is not a JSON object")
    return document


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits


async def _multipart(raw: bytes) -> Body:
    """A form whose first line names what stands between its parts."""
    line, _, _ = raw.partition(b"\n")
    if not raw.rstrip().endswith(line.strip() + b"--") or len(line.strip()) == len(b"--"):
        raise Refused(400, "the body is no multipart form: its end is missing")
    boundary = line[2:].strip().decode("latin-1")
    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    parser = MultiPartParser(
        headers,
        _once(raw),
        max_files=MOST_FILES,
        max_fields=MOST_FIELDS,
        max_part_size=len(raw),
    )
    # It is in memory already; a file on a disk would only be another copy.
    parser.spool_max_size = len(raw) + 1
    try:
        form = await parser.parse()
    except (MultiPartException, HTTPException, ValueError, LookupError) as error:
        told = error.message if isinstance(error, MultiPartException) else "it is malformed"
        raise Refused(400, f"the body is no multipart form: {_printable(told)[:200]}") from None
    return {name: await _part(value) for name, value in form.multi_items()}


async def _part(value: UploadFile | str) -> File | str:
    if isinstance(value, str):
        return value
    data = await value.read()
    await value.close()
    return File(data)


async def _once(raw: bytes) -> AsyncGenerator[bytes, None]:
    yield raw


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _too_large(most: int) -> Refused:
    return Refused(413, f"the body is larger than {most} bytes")

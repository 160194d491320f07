"""Read a request's body, whatever its Content-Type says: JSON, a form, or nothing at all.

All that is read counts in the room that bodies have together, three times: no reading here may hold
more than three of a body's sizes at a time (memory.py).
"""

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
from t2v_gateway.memory import SHARE, Share

Body = dict[str, Any]

MOST_FIELDS = 100
"""Of a form."""
MOST_FILES = 1
MOST_MARKS = 50_000
"""Commas and brackets in JSON: each may become an object of 60 bytes."""
TEXT_BYTES = 2**20
"""Of a form's texts: they fall into many small pieces on the way. What is larger is a file."""
PIECE_BYTES = 64 * 1024
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
    share: Share | None = request.scope.get(SHARE)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > most:
                    raise _too_large(most)
                if share:
                    share.take(len(chunk))
                body += chunk
    except TimeoutError:
        raise Refused(408, f"the body took longer than {seconds:.0f} s") from None
    except ClientDisconnect:
        raise Refused(400, "the body ended before its end") from None
    if share and not body.startswith(b"--") and not body.isascii():
        share.take(0, len(body))
    return bytes(body)


def let_go(request: Request) -> None:
    """Nothing of the body is held any more: it does not count while the request goes on."""
    if share := request.scope.get(SHARE):
        share.give_back()


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
    del raw
    if not text:
        return {}
    if text[0] in '{["' or "=" not in text:
        return _json(text)
    if len(text) > TEXT_BYTES:
        raise Refused(413, f"the form is larger than {TEXT_BYTES} bytes; send a multipart form")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Refused(400, f"the body is a form of more than {MOST_FIELDS} fields") from None


def _json(text: str) -> Body:
    if sum(map(text.count, ",[{")) > MOST_MARKS:
        raise Refused(400, f"the body is of more than {MOST_MARKS} commas and brackets")
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
    line = raw.split(b"\n", 1)[0]
    if not raw.rstrip().endswith(line.strip() + b"--") or len(line.strip()) == len(b"--"):
        raise Refused(400, "the body is no multipart form: its end is missing")
    boundary = line[2:].strip().decode("latin-1")
    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    parser = MultiPartParser(
        headers,
        _in_pieces(raw),
        max_files=MOST_FILES,
        max_fields=MOST_FIELDS,
        max_part_size=TEXT_BYTES,
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


async def _in_pieces(raw: bytes) -> AsyncGenerator[bytes, None]:
    """Others are served between two of them."""
    for begin in range(0, len(raw), PIECE_BYTES):
        yield raw[begin : begin + PIECE_BYTES]
        await asyncio.sleep(0)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _too_large(most: int) -> Refused:
    return Refused(413, f"the body is larger than {most} bytes")

"""Take a body apart: JSON, or a form as OpenAI's client sends it, with or without a file."""

import re
from collections.abc import AsyncGenerator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from t2v_gateway.bodies import attributes_of, read_bytes
from t2v_gateway.openai.errors import BadParameter
from t2v_gateway.settings import GatewaySettings

FILE_FIELD = "input_reference"
MOST_FIELDS = 100
BASE64_GROWTH = 4 / 3

Parameters = dict[str, Any]


class _InMemory(MultiPartParser):
    """Writes no temporary files: the gateway's file system is read-only."""

    spool_max_size = 2**62


async def read_parameters(request: Request, settings: GatewaySettings) -> Parameters:
    """The parameters by name; a file is bytes. Raises Refused.

    What is null, or an empty field of a form, is not given.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        body = await read_bytes(request, settings.upload_bytes + settings.body_bytes)
        given = await _parts(request, body, settings.body_bytes)
        return {name: value for name, value in given.items() if value != ""}
    # An image may stand in it as a data: URL.
    most = settings.body_bytes + int(settings.upload_bytes * BASE64_GROWTH)
    given = attributes_of(await read_bytes(request, most))
    return {name: value for name, value in given.items() if value is not None}


async def _parts(request: Request, body: bytes, most: int) -> Parameters:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(
        request.headers, stream(), max_files=1, max_fields=MOST_FIELDS, max_part_size=most
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    except (KeyError, ValueError):
        raise HTTPException(400, "the form cannot be read") from None
    given: Parameters = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != FILE_FIELD:
                raise BadParameter(f"{name!r} is a file; only {FILE_FIELD} is one", name)
            given[name] = await value.read()
        else:
            _put(given, name, value)
    return given


def _put(given: Parameters, name: str, value: str) -> None:
    """A field; `input_reference[image_url]` is one of an object."""
    nested = re.fullmatch(r"(\w+)\[(\w+)\]", name)
    if nested is None:
        given[name] = value
        return
    outer = given.setdefault(nested[1], {})
    if not isinstance(outer, dict):
        raise BadParameter(f"{nested[1]} stands there twice", nested[1])
    outer[nested[2]] = value

"""Take a body apart: JSON, or a form as OpenAI's client sends it, with or without a file."""

import re
from typing import Any

from starlette.requests import Request

from t2v_gateway.bodies import File, read_body
from t2v_gateway.openai.errors import BadParameter
from t2v_gateway.settings import GatewaySettings

FILE_FIELD = "input_reference"
MOST_PARAMETERS = 100
UPLOAD_SECONDS = 300.0

Parameters = dict[str, Any]


async def read_parameters(
    request: Request, settings: GatewaySettings, with_image: bool = False
) -> Parameters:
    """The parameters by name. Raises Refused.

    What is null, or empty as a form has it, is not given.
    """
    if with_image:
        body = await read_body(request, settings.upload_body_bytes, UPLOAD_SECONDS)
    else:
        body = await read_body(request, settings.body_bytes)
    if len(body) > MOST_PARAMETERS:
        raise BadParameter(f"there are more than {MOST_PARAMETERS} parameters", None)
    given: Parameters = {}
    for name, value in body.items():
        if isinstance(value, File) and name != FILE_FIELD:
            raise BadParameter(f"{name[:80]!r} is a file; only {FILE_FIELD} is one", name[:80])
        if value not in (None, ""):
            _put(given, name, value)
    return given


def _put(given: Parameters, name: str, value: Any) -> None:
    """One parameter; a form's `input_reference[image_url]` is one of an object."""
    nested = re.fullmatch(r"(\w+)\[(\w+)\]", name)
    outer, inner = (nested[1], nested[2]) if nested else (name, None)
    if outer in given and (inner is None or not isinstance(given[outer], dict)):
        raise BadParameter(f"{outer[:80]} was given twice", outer[:80])
    if inner is None:
        given[outer] = value
    else:
        given.setdefault(outer, {})[inner] = value

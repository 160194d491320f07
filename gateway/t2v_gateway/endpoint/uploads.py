"""upload_image: an image or video to start from, kept in the store for the key's namespace."""

import asyncio
import binascii
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse
from t2v_api.store_name import STORE
from t2v_operator.delivery.stores import StoreUnavailable

from t2v_gateway.bodies import Body, File
from t2v_gateway.endpoint import answers, documents, values
from t2v_gateway.endpoint.addresses import PREFIX
from t2v_gateway.endpoint.asking import asked
from t2v_gateway.errors import Refused, Unavailable
from t2v_gateway.gateway import Gateway
from t2v_gateway.uploads import IMAGE_OR_VIDEO, Kept, keep

FIELDS = ("image", "init_image", "file", "video", "init_video")
"""What the file may be called."""
UPLOAD_SECONDS = 120.0
SPACE = b" \t\r\n\f\v"


def add(routes: APIRouter, gateway: Gateway) -> None:
    """upload_image."""
    settings = gateway.settings
    most, largest = settings.upload_body_bytes, settings.upload_bytes

    @routes.post(f"{PREFIX}/upload_image", **documents.menu(documents.Upload))
    async def upload_image(request: Request) -> JSONResponse:
        """Keep an image or video; what it is called in the answer goes into init_image."""
        ask = await asked(request, gateway, most=most, seconds=UPLOAD_SECONDS)
        name, given = _given(ask.body)
        data = await asyncio.to_thread(_data, name, given, largest)
        kept = await keep(gateway, ask.key, data, name, IMAGE_OR_VIDEO)
        media = kept.media
        return JSONResponse(
            answers.done(
                f"{media.kind} uploaded",
                link=kept.reference,
                output=[await _link(gateway, kept)],
                **{f"init_{media.kind}": kept.reference},
                content_type=media.content_type,
                width=media.width,
                height=media.height,
            )
        )


def _given(body: Body) -> tuple[str, Any]:
    for name in FIELDS:
        if not values.is_absent(body.get(name)):
            return name, body[name]
    raise Refused(400, "image is required: a file of a form, or its bytes in base64")


def _data(name: str, given: Any, largest: int) -> bytes:
    """The file's bytes. Raises Refused."""
    if isinstance(given, File):
        data = given.data
    elif isinstance(given, str):
        data = _decoded(name, given)
    else:
        raise values.refused(name, given, "it must be a file of a form, or its bytes in base64")
    if len(data) > largest:
        raise Refused(413, f"{name} has {len(data)} bytes; at most {largest} are taken")
    return data


def _decoded(name: str, given: str) -> bytes:
    if given.startswith(("http://", "https://", STORE)):
        raise values.refused(name, given, "an address need not be uploaded: it is an init_image")
    try:
        letters = given.encode("ascii")
        if letters.startswith(b"data:"):
            letters = letters[letters.find(b",") + 1 :]
        letters = letters.translate(None, SPACE)
        return binascii.a2b_base64(letters, strict_mode=True)
    except ValueError:
        raise values.refused(name, given, "it must be base64, or data:image/png;base64,…") from None


async def _link(gateway: Gateway, kept: Kept) -> str:
    """What opens it in a browser."""
    assert gateway.store
    try:
        return await gateway.store.link(kept.place)
    except StoreUnavailable:
        raise Unavailable("the store gives no link; try again soon") from None

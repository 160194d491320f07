"""Keep what a client sends in the store, where a request may name it to start from."""

import hashlib
import re

from t2v_api.api_key import ApiKey
from t2v_api.store_name import STORE
from t2v_operator.core.places import place
from t2v_operator.delivery.stores import StoreUnavailable

from t2v_gateway.errors import Refused, Unavailable
from t2v_gateway.gateway import Gateway

FOLDER = "uploads"
"""Of a namespace: beside its videos."""

_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"\xff\xd8\xff"), "jpg"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "webp"),
)
"""What an image begins with, and how its name ends."""


async def keep(gateway: Gateway, key: ApiKey, content: bytes) -> str:
    """The `store://` name of an image, for `initImage`. Equal images have one name.

    Raises Refused where it is no image, or too large, or where there is no store.
    """
    if gateway.store is None:
        raise Refused(
            400, "this installation has no store for uploads; give the image's https:// address"
        )
    if len(content) > (most := gateway.settings.upload_bytes):
        raise Refused(413, f"the image has {len(content)} bytes; at most {most} are taken")
    ending = ending_of(content)
    if ending is None:
        raise Refused(400, "this is no image that can be used; give a PNG, JPEG or WebP image")
    path = f"{FOLDER}/{hashlib.sha256(content).hexdigest()}.{ending}"
    try:
        await gateway.store.write(place(key.namespace, path, gateway.config), content)
    except StoreUnavailable:
        raise Unavailable("the store does not answer; try again soon") from None
    return f"{STORE}{path}"


def ending_of(content: bytes) -> str | None:
    """png, jpg or webp, by what it begins with; None for anything else."""
    return next((ending for begin, ending in _SIGNATURES if begin.match(content)), None)

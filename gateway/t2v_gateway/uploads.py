"""Keep what a client sends in the store, where a request may name it to start from."""

import hashlib

from t2v_api.api_key import ApiKey
from t2v_api.store_name import STORE
from t2v_operator.core.places import place
from t2v_operator.delivery.stores import StoreUnavailable

from t2v_gateway.errors import Refused, Unavailable
from t2v_gateway.gateway import Gateway
from t2v_gateway.media import MOST_PIXELS, media_in

FOLDER = "uploads"
"""Of a namespace: beside its videos."""
NAME_DIGITS = 32
STORE_SECONDS = 120.0


async def keep(gateway: Gateway, key: ApiKey, content: bytes) -> str:
    """The `store://` name of an image, for `initImage`. Equal images have one name.

    Raises Refused where it is no image, or too large, or where there is no store.
    """
    if gateway.store is None:
        raise Refused(400, "this installation takes no uploads; give the image's https:// address")
    if len(content) > (most := gateway.settings.upload_bytes):
        raise Refused(413, f"the image has {len(content)} bytes; at most {most} are taken")
    media = media_in(content)
    if media is None or media.kind != "image":
        raise Refused(400, "this is no image that can be used; give a PNG, JPEG or WebP image")
    if media.is_too_large:
        size = f"{media.width}x{media.height}"
        raise Refused(400, f"the image is {size}; {MOST_PIXELS} on a side at most")
    digest = hashlib.sha256(content).hexdigest()[:NAME_DIGITS]
    path = f"{FOLDER}/{digest}.{media.ending}"
    try:
        await gateway.store.write(
            place(key.namespace, path, gateway.config), content, STORE_SECONDS
        )
    except StoreUnavailable:
        raise Unavailable("the store does not take the image; try again soon") from None
    return f"{STORE}{path}"

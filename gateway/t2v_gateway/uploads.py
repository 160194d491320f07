"""Keep what a client sends in the store, where a request may name it to start from."""

import hashlib
from dataclasses import dataclass

from t2v_api.api_key import ApiKey
from t2v_api.store_name import STORE
from t2v_operator.core.places import place
from t2v_operator.delivery.stores import StoreUnavailable

from t2v_gateway.errors import Refused, Unavailable
from t2v_gateway.gateway import Gateway
from t2v_gateway.media import MOST_PIXELS, Media, media_in

FOLDER = "uploads"
"""Of a namespace: beside its videos."""
NAME_DIGITS = 32
STORE_SECONDS = 120.0
IMAGE = ("image",)
IMAGE_OR_VIDEO = ("image", "video")
TAKEN = {
    IMAGE: "no image that can be used; give a PNG, JPEG or WebP image",
    IMAGE_OR_VIDEO: "no image or video: PNG, JPEG, WebP, MP4 and WebM are taken",
}


@dataclass(frozen=True)
class Kept:
    """A file in the store."""

    reference: str
    """`store://…`, for a request's init media."""
    place: str
    """Its key in the store."""
    media: Media


async def keep(
    gateway: Gateway,
    key: ApiKey,
    content: bytes,
    name: str = "the image",
    kinds: tuple[str, ...] = IMAGE,
    only_name: bool = False,
) -> Kept:
    """Keep a file for the key's namespace. Equal files have one name: who sends one twice has one.

    `name` is what the client calls it. `only_name`: nothing is kept yet. Raises Refused where it is
    none of `kinds`, or too large, or too much for one day, or where there is no store.
    """
    if gateway.store is None:
        raise Refused(
            400,
            "this installation keeps videos on a volume of each namespace, and takes no uploads: "
            "give the https:// address of what it starts from",
        )
    if len(content) > (most := gateway.settings.upload_bytes):
        raise Refused(413, f"{name} has {len(content)} bytes; at most {most} are taken")
    media = media_in(content)
    if media is None or media.kind not in kinds:
        raise Refused(400, f"{name} is {TAKEN[kinds]}")
    if media.is_too_large:
        size = f"{media.width}x{media.height}"
        raise Refused(400, f"{name} is {size}; {MOST_PIXELS} on a side at most")
    digest = hashlib.sha256(content).hexdigest()[:NAME_DIGITS]
    path = f"{FOLDER}/{digest}.{media.ending}"
    where = place(key.namespace, path, gateway.config)
    kept = Kept(f"{STORE}{path}", where, media)
    if only_name:
        return kept
    gateway.sent.add(key.id, len(content), gateway.settings.uploads_per_day_bytes)
    try:
        await gateway.store.write(where, content, STORE_SECONDS)
    except StoreUnavailable:
        gateway.sent.take_back(key.id, len(content))
        raise Unavailable("the store does not take the file; try again soon") from None
    return kept

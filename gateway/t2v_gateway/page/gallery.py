"""One page of the gallery: the newest first, as many as were asked for."""

from typing import Any

from t2v_api.api_key import ApiKey

from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.page.cards import card_of, state_of
from t2v_gateway.page.glance import own
from t2v_gateway.videos import Video

STATES = ("working", "ready", "failed")
MOST = 200


def page_of(gateway: Gateway, key: ApiKey, show: str, before: str, limit: int) -> dict[str, Any]:
    """`show`: a state, or `all`. `before`: where the page before ended, or empty. Raises Refused.

    Only what is on the page is read; of the others it is enough to know when they were made.
    """
    if show not in ("all", *STATES):
        raise Refused(400, f"show is {show[:40]!r}; it may be all, {', '.join(STATES)}")
    wanted = [video for video in own(gateway, key) if show in ("all", state_of(video))]
    wanted.sort(key=_place, reverse=True)
    if before:
        place = _read(before)
        wanted = [video for video in wanted if _place(video) < place]
    limit = max(1, min(MOST, limit))
    shown = wanted[:limit]
    more = len(wanted) > limit
    return {
        "videos": [card_of(video) for video in shown],
        "next": "~".join(map(str, _place(shown[-1]))) if more else None,
    }


def _place(video: Video) -> tuple[str, int]:
    return video.created, video.id


def _read(place: str) -> tuple[str, int]:
    created, _, video_id = place.partition("~")
    if not (video_id.isascii() and video_id.isdecimal() and len(video_id) < 20):
        raise Refused(400, "before is no place in the gallery")
    return created, int(video_id)

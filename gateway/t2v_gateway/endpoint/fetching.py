"""The addresses that say how far a video is."""

import re
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse
from t2v_api.api_key import ApiKey

from t2v_gateway.bodies import Body
from t2v_gateway.endpoint import answers, documents, values
from t2v_gateway.endpoint.addresses import NEWER, PREFIX, fetch_url
from t2v_gateway.endpoint.asking import asked
from t2v_gateway.errors import NotFound, Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.videos import Video, is_of

ID = re.compile(r"\d{1,16}", re.ASCII)
MOST_ID_CHARACTERS = 40
"""Of an id that is repeated in a message."""


def add(routes: APIRouter, gateway: Gateway) -> None:
    """fetch by id in the address, and by request_id or track_id in the body."""

    def answer(request: Request, video: Video | None, what: str) -> JSONResponse:
        if video is None:
            raise NotFound(what)
        url = fetch_url(request, video.id, gateway.settings)
        return JSONResponse(answers.about(video, url))

    async def own(key: ApiKey, video_id: str) -> Video | None:
        return await gateway.videos.own(key, int(video_id)) if ID.fullmatch(video_id) else None

    for place in (f"{PREFIX}/fetch", f"{PREFIX}/video/fetch", f"{NEWER}/fetch"):

        async def fetch(request: Request, video_id: str) -> JSONResponse:
            """How far a video is, by its id."""
            ask = await asked(request, gateway)
            found = await own(ask.key, video_id)
            return answer(request, found, f"video {_cut(video_id)}")

        # One operation each: a document may not name the same one twice.
        for method in ("GET", "POST"):
            shown = documents.fetching(documents.Key if method == "POST" else None)
            routes.add_api_route(f"{place}/{{video_id}}", fetch, methods=[method], **shown)

    for name in ("fetch", "fetch_queue_image"):

        @routes.post(f"{PREFIX}/{name}", **documents.fetching(documents.Fetch))
        async def fetch_by_body(request: Request) -> JSONResponse:
            """How far a video is, by the request_id or track_id in the body."""
            ask = await asked(request, gateway)
            if not values.is_absent(ask.body.get("request_id")):
                wanted = _request_id(ask.body["request_id"])
                found = await own(ask.key, wanted)
                return answer(request, found, f"video {_cut(wanted)}")
            track_id = _track_id(ask.body)
            latest = partial(_latest, gateway, ask.key, track_id)
            found = await gateway.videos.awaited(ask.key, latest)
            return answer(request, found, f"a video with track_id {values.shown(track_id)}")


def _latest(gateway: Gateway, key: ApiKey, track_id: str) -> Video | None:
    mine = (
        video
        for video in gateway.videos.of_key(key)
        if video.track_id == track_id and is_of(key, video)
    )
    return max(mine, key=lambda video: video.place, default=None)


def _request_id(value: Any) -> str:
    given: str = values.label(256)("request_id", value)
    return given.strip()


def _track_id(body: Body) -> str:
    if values.is_absent(body.get("track_id")):
        raise Refused(400, "request_id is required: the id of the answer to your request")
    given: str = values.label(256)("track_id", body["track_id"])
    return given


def _cut(text: str) -> str:
    """Of an address: printable, and not longer than an id can be."""
    shown = text[:MOST_ID_CHARACTERS].encode("utf-8", "replace").decode()
    return shown if len(text) <= MOST_ID_CHARACTERS else f"{shown}…"

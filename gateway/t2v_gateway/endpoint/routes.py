"""The endpoint's addresses."""

import json
from hashlib import sha256

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from t2v_gateway.bodies import Body, read_body
from t2v_gateway.endpoint import answers
from t2v_gateway.endpoint.text2video import spec_of
from t2v_gateway.errors import NotFound
from t2v_gateway.gateway import Gateway
from t2v_gateway.submitting import Once
from t2v_gateway.videos import Video

PREFIX = "/api/v1/enterprise"


def router(gateway: Gateway) -> APIRouter:
    """All of them."""
    routes = APIRouter(prefix=PREFIX)

    @routes.post("/text2video")
    async def text2video(request: Request) -> JSONResponse:
        """Make a video of a text."""
        body = await read_body(request, gateway.settings.body_bytes)
        key = gateway.callers.known(key_in(body, request))
        spec = spec_of(body)
        gateway.callers.may_make_one(key)
        video = await gateway.submitter.submit(key, spec, _once(body, request))
        video = await gateway.videos.finished(video.key, gateway.settings.wait_seconds) or video
        return JSONResponse(answers.about(video, _fetch_url(request, video)))

    @routes.api_route("/fetch/{video_id}", methods=["GET", "POST"])
    async def fetch(request: Request, video_id: int) -> JSONResponse:
        """How far a video is."""
        body = await read_body(request, gateway.settings.body_bytes)
        key = gateway.callers.known(key_in(body, request))
        video = gateway.videos.by_id(video_id)
        if video is None or video.key_id != key.id or video.namespace != key.namespace:
            raise NotFound(f"video {video_id}")
        return JSONResponse(answers.about(video, _fetch_url(request, video)))

    return routes


def key_in(body: Body, request: Request) -> str | None:
    """The key of a request: in its body, or a bearer token."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    key = body.get("key") or (token.strip() if kind.lower() == "bearer" else None)
    return key if isinstance(key, str) else None


def _once(body: Body, request: Request) -> Once | None:
    """What tells a repeated request."""
    if word := request.headers.get("idempotency-key"):
        return Once(f"idempotency-key {word}", "")
    asked = {name: value for name, value in body.items() if name != "key"}
    text = json.dumps(asked, sort_keys=True)
    word = body.get("track_id")
    return Once(f"track_id {word}", sha256(text.encode()).hexdigest()) if word else None


def _fetch_url(request: Request, video: Video) -> str:
    return f"{str(request.base_url).rstrip('/')}{PREFIX}/fetch/{video.id}"

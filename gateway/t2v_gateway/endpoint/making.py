"""The addresses that make a video, and wait a while for it."""

import asyncio
from collections import Counter
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse
from t2v_api.resource import TextToVideoJobSpec

from t2v_gateway.bodies import let_go
from t2v_gateway.endpoint import answers, documents
from t2v_gateway.endpoint.addresses import NEWER, PREFIX, fetch_url
from t2v_gateway.endpoint.asking import asked
from t2v_gateway.endpoint.text2video import in_words, spec_of, tips
from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.submitting import Once
from t2v_gateway.videos import Video

MOST_WORD_CHARACTERS = 255
"""Of an Idempotency-Key."""


def add(routes: APIRouter, gateway: Gateway) -> None:
    """text2video and img2video, each at both of its addresses."""

    waiting: Counter[str] = Counter()

    async def make(request: Request, from_image: bool) -> JSONResponse:
        ask = await asked(request, gateway)
        key, spec, told = ask.key, spec_of(ask.body, from_image), tips(ask.body)
        del ask
        let_go(request)
        permit = partial(gateway.callers.may_make_one, key)
        try:
            video = await gateway.submitter.submit(key, spec, _once(spec, request), permit)
        except Refused as refused:
            # The operator's own checks name the fields of a resource.
            raise Refused(refused.status, in_words(refused.message), refused.retry_after) from None
        url = fetch_url(request, video.id, gateway.settings)
        if waiting[key.id] < gateway.settings.waits_per_key:
            waiting[key.id] += 1
            try:
                video = await _waited_for(video, request, gateway)
            finally:
                waiting[key.id] -= 1
        return JSONResponse(answers.about(video, url, told))

    for prefix in (PREFIX, NEWER):

        @routes.post(f"{prefix}/text2video", **documents.making(documents.Text2Video))
        async def text2video(request: Request) -> JSONResponse:
            """Make a video of a text.

            Answers with the video where it is ready in time, else that it is on its way.
            """
            return await make(request, from_image=False)

        @routes.post(f"{prefix}/img2video", **documents.making(documents.Img2Video))
        async def img2video(request: Request) -> JSONResponse:
            """Make a video that begins with an image, or is drawn anew from it."""
            return await make(request, from_image=True)


async def _waited_for(video: Video, request: Request, gateway: Gateway) -> Video:
    """The video once it is finished, or after the configured time.

    A client that goes away ends the waiting; the video is made all the same. Raises Refused where
    it was deleted meanwhile.
    """
    seconds = gateway.settings.wait_seconds
    if video.is_finished or not seconds:
        return gateway.videos.get(video.key) or video
    waiting = asyncio.ensure_future(gateway.videos.finished(video, seconds))
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            return video
        finished = waiting.result()
        if finished is None:
            raise Refused(404, f"video {video.id} was deleted before it was made")
        return finished
    finally:
        waiting.cancel()
        leaving.cancel()
        await asyncio.gather(waiting, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Returns once the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _once(spec: TextToVideoJobSpec, request: Request) -> Once | None:
    """What tells a repeated request.

    An Idempotency-Key alone is enough, and goes with one request only
    (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/); a track_id goes
    with as many as one likes.
    """
    digest = spec.whole_hash
    if word := request.headers.get("idempotency-key", "").strip():
        if len(word) > MOST_WORD_CHARACTERS:
            raise Refused(400, f"Idempotency-Key has more than {MOST_WORD_CHARACTERS} characters")
        return Once(f"idempotency-key {word}", "", digest)
    return Once(f"track_id {spec.track_id}", digest) if spec.track_id else None

"""A video's files: by a link to the store, or through the gateway where clients cannot reach it."""

from contextlib import AsyncExitStack
from enum import StrEnum

from aiohttp import ClientError, ClientSession, ClientTimeout
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from t2v_api.delivery import content_type
from t2v_api.resource import Phase
from t2v_api.result import POSTER_FILE, VIDEO_FILE
from t2v_operator.core.places import key_in_store, with_places
from t2v_operator.delivery.stores import StoreUnavailable

from t2v_gateway.errors import Unavailable
from t2v_gateway.gateway import Gateway
from t2v_gateway.openai.answers import STATUSES, id_of
from t2v_gateway.openai.errors import BadParameter
from t2v_gateway.settings import ContentForm
from t2v_gateway.videos import Video

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 60.0
"""A store that brings nothing for that long is given up."""
ASKED = ("range", "if-range", "if-none-match")
TOLD = ("content-length", "content-range", "accept-ranges", "etag", "last-modified")
"""Headers that go through as they are."""
PASSED_ON = (200, 206, 304, 416)


class Variant(StrEnum):
    """Which file."""

    VIDEO = "video"
    THUMBNAIL = "thumbnail"
    SPRITESHEET = "spritesheet"


FILES = {Variant.VIDEO: VIDEO_FILE, Variant.THUMBNAIL: POSTER_FILE}


async def answer(request: Request, video: Video, variant: Variant, gateway: Gateway) -> Response:
    """The file, or where it is. Raises Refused."""
    url = _address(video, variant, gateway)
    store, prefix = gateway.store, gateway.config.storage.prefix
    key = key_in_store(url, video.namespace, prefix) if store else None
    try:
        if store is None or key is None:
            if url.startswith(("http://", "https://")):
                return _redirect(url)
            raise _missing("its files are where the gateway cannot reach them", "not_reachable")
        if gateway.settings.content is ContentForm.REDIRECT:
            return _redirect(await store.link(key))
        return await _through(request, await store.grant_to_read(key), FILES[variant])
    except StoreUnavailable:
        raise Unavailable("the store does not answer; try again soon") from None


def _address(video: Video, variant: Variant, gateway: Gateway) -> str:
    """What names the file, or opens it for everybody."""
    status, phase = video.resource.status, video.phase
    if status is None or phase is not Phase.SUCCEEDED:
        why = "it failed" if phase is Phase.FAILED else f"it is {STATUSES[phase]}"
        raise _missing(f"{id_of(video)} has no content: {why}", "video_not_ready")
    if variant not in FILES:
        raise _missing("a spritesheet is not made; take the video or the thumbnail", "no_variant")
    if status.output_removed_time:
        raise _missing(f"the files of {id_of(video)} were removed", "video_expired")
    output = with_places(status, video.namespace, gateway.config).output
    name = FILES[variant]
    found = (url for url in output if url.partition("?")[0].endswith(f"/{name}"))
    url = next(found, None)
    if url is None:
        raise _missing(f"{id_of(video)} has no {variant}", "no_variant")
    return url


def _missing(message: str, code: str) -> BadParameter:
    param = "variant" if code == "no_variant" else "video_id"
    return BadParameter(message, param, code, 404)


def _redirect(url: str) -> Response:
    return RedirectResponse(url, headers={"Cache-Control": "no-store"})


async def _through(request: Request, url: str, name: str) -> Response:
    """What the store answers, as it comes."""
    asked = {each: request.headers[each] for each in ASKED if each in request.headers}
    asked["accept-encoding"] = "identity"
    timeout = ClientTimeout(None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession(timeout=timeout))
        asking = session.get(url, headers=asked, allow_redirects=False)
        try:
            found = await stack.enter_async_context(asking)
        except (ClientError, OSError, TimeoutError) as error:
            raise StoreUnavailable(f"the store: {type(error).__name__}") from None
        if found.status == 404:
            raise _missing("the file is not in the store any more", "video_expired")
        if found.status not in PASSED_ON:
            raise StoreUnavailable(f"the store answered {found.status}")
        told = {each: found.headers[each] for each in TOLD if each in found.headers}
        told |= {"content-disposition": f'inline; filename="{name}"', "cache-control": "private"}
        body = found.content.iter_chunked(CHUNK_BYTES)
        response = _Streamed(body, found.status, told, content_type(name))
        response.store = stack.pop_all()
        return response


class _Streamed(StreamingResponse):
    """Lets the store go at its end, also where the client goes away before."""

    store: AsyncExitStack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.store:
            await super().__call__(scope, receive, send)

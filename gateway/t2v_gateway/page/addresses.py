"""The page's addresses: /, what it is made of, signing in and out, and its JSON below /page/api.

All of it is the page's own matter, so none of it stands in the OpenAPI document.
"""

import hashlib
import random
from collections.abc import Callable, Coroutine
from functools import partial
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from t2v_api.api_key import ApiKey
from t2v_api.resource import TextToVideoJobSpec

from t2v_gateway.bodies import read_bytes
from t2v_gateway.errors import NotFound, Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.page.asked import Wrong, problems_in, spec_of
from t2v_gateway.page.cards import card_of
from t2v_gateway.page.details import details_of
from t2v_gateway.page.door import Door
from t2v_gateway.page.form import form_of, model_of
from t2v_gateway.page.gallery import page_of
from t2v_gateway.page.glance import Glance
from t2v_gateway.page.headers import headers
from t2v_gateway.page.stream import Streams
from t2v_gateway.repeating import repeated
from t2v_gateway.submitting import Once
from t2v_gateway.videos import Video

STATIC = Path(__file__).parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
KEY_BYTES = 4096
"""Of a form with a key in it."""
PAGE_LIMIT = 24
EASY_SEEDS = 2**31
"""Other seeds are drawn below it: they are easily read and typed."""

Answering = Callable[[Request], Coroutine[Any, Any, Response]]


def router(gateway: Gateway) -> APIRouter:
    """All of them."""
    door, said = Door(gateway), headers(gateway.config)

    class PageRoute(APIRoute):
        """Its refusals are told with their own status, and everything has the page's headers."""

        def get_route_handler(self) -> Answering:
            handler = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    response = await handler(request)
                except Refused as refused:
                    response = _refusal(refused)
                response.headers.update(said)
                response.headers.setdefault("Cache-Control", "no-store")
                return response

            return answer

    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    _add_pages(routes, gateway, door)
    _add_files(routes)
    _add_api(routes, gateway, door)
    return routes


def _add_pages(routes: APIRouter, gateway: Gateway, door: Door) -> None:
    app, entrance = (_template(name) for name in ("app.html", "sign-in.html"))

    @routes.get("/")
    async def page(request: Request) -> Response:
        session = door.session(request)
        if session is None:
            return HTMLResponse(
                entrance.substitute(root="", message="", hidden="hidden", invalid="false")
            )
        key = door.key(session)
        values = {"token": session.form_token, "name": key.name, "namespace": key.namespace}
        return HTMLResponse(app.substitute({name: escape(text) for name, text in values.items()}))

    @routes.get("/page/sign-in")
    async def entered(_: Request) -> Response:
        """Where a wrong key was typed, loaded again."""
        return RedirectResponse("../", 303)

    @routes.post("/page/sign-in")
    async def sign_in(request: Request) -> Response:
        try:
            session = door.sign_in(request, (await _form(request)).get("key", "").strip())
        except Refused as refused:
            said = {"root": "../", "message": escape(_said_of(refused))}
            values = said | {"hidden": "", "invalid": "true"}
            again = {"Retry-After": str(refused.retry_after)} if refused.retry_after else None
            return HTMLResponse(entrance.substitute(values), refused.status, again)
        response = RedirectResponse("../", 303)
        door.set_cookie(request, response, session)
        return response

    @routes.post("/page/sign-out")
    async def sign_out(request: Request) -> Response:
        door.leaver(request, (await _form(request)).get("token", ""))
        response = RedirectResponse("../", 303)
        door.set_cookie(request, response, None)
        return response


def _add_files(routes: APIRouter) -> None:
    files = {each.name: each.read_bytes() for each in STATIC.iterdir() if each.suffix in TYPES}
    tags = {name: f'"{hashlib.sha256(body).hexdigest()[:32]}"' for name, body in files.items()}

    @routes.get("/page/static/{name}")
    async def file(request: Request, name: str) -> Response:
        if name not in files:
            raise NotFound(f"file {name[:40]!r}")
        kept = {"ETag": tags[name], "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=kept)
        return Response(files[name], media_type=TYPES[Path(name).suffix], headers=kept)


def _add_api(routes: APIRouter, gateway: Gateway, door: Door) -> None:
    streams = Streams(gateway, Glance(gateway))

    async def mine(key: ApiKey, video_id: str) -> Video:
        """Raises NotFound, whether somebody else has one of that id or nobody has."""
        is_id = video_id.isascii() and video_id.isdecimal() and len(video_id) < 20
        video = await gateway.videos.own(key, int(video_id)) if is_id else None
        if video is None:
            raise NotFound(f"video {video_id[:20]}")
        return video

    async def made(request: Request, key: ApiKey, spec: TextToVideoJobSpec) -> Response:
        """`Idempotency-Key`: sent again, as its answer was lost, it is the same one."""
        word = request.headers.get("idempotency-key", "")[:100]
        once = Once(f"page {word}", "") if word else None
        permit = partial(gateway.callers.may_make_one, key)
        return JSONResponse(card_of(await gateway.submitter.submit(key, spec, once, permit)), 201)

    @routes.get("/page/api/form")
    async def form(request: Request) -> Response:
        _, key = door.reader(request)
        return JSONResponse(form_of(gateway, key))

    @routes.get("/page/api/models/{name}")
    async def model(request: Request, name: str) -> Response:
        door.reader(request)
        return JSONResponse(model_of(gateway, name))

    @routes.get("/page/api/events")
    async def stream(request: Request) -> Response:
        session, key = door.reader(request)
        streams.check(key)
        no_buffer = {"X-Accel-Buffering": "no"}
        told = streams.events(session)
        return StreamingResponse(told, media_type="text/event-stream", headers=no_buffer)

    @routes.get("/page/api/videos")
    async def videos(
        request: Request, show: str = "all", before: str = "", limit: int = PAGE_LIMIT
    ) -> Response:
        _, key = door.reader(request)
        return JSONResponse(page_of(gateway, key, show, before, limit))

    @routes.post("/page/api/videos")
    async def make(request: Request) -> Response:
        key = door.writer(request)
        return await made(request, key, spec_of(await _json(request, gateway)))

    @routes.get("/page/api/videos/{video_id}")
    async def details(request: Request, video_id: str) -> Response:
        _, key = door.reader(request)
        return JSONResponse(details_of(await mine(key, video_id)))

    @routes.post("/page/api/videos/{video_id}/again")
    async def again(request: Request, video_id: str) -> Response:
        """The same request once more; with `"seed": "other"` with another seed."""
        key = door.writer(request)
        spec = (await mine(key, video_id)).spec
        if spec is None:
            raise Refused(400, "its request is malformed; fill in the form instead")
        given = await _json(request, gateway)
        is_other = isinstance(given, dict) and given.get("seed") == "other"
        seed = random.SystemRandom().randrange(EASY_SEEDS) if is_other else spec.seed
        return await made(request, key, repeated(spec, seed=seed))

    @routes.delete("/page/api/videos/{video_id}")
    async def delete(request: Request, video_id: str) -> Response:
        key = door.writer(request)
        await gateway.submitter.delete(await mine(key, video_id))
        return Response(status_code=204)


def _template(name: str) -> Template:
    return Template((STATIC / name).read_text(encoding="utf-8"))


async def _form(request: Request) -> dict[str, str]:
    """A plain form's fields. Raises Refused."""
    body = await read_bytes(request, KEY_BYTES)
    try:
        fields = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        raise Refused(400, "this is no form") from None
    return {name: values[0] for name, values in fields.items()}


async def _json(request: Request, gateway: Gateway) -> Any:
    body = await read_bytes(request, gateway.settings.body_bytes)
    try:
        return orjson.loads(body or b"{}")
    except ValueError:
        raise Refused(400, "the body is not JSON") from None


def _refusal(refused: Refused) -> Response:
    problems = refused.problems if isinstance(refused, Wrong) else problems_in(refused.message)
    again = {"Retry-After": str(refused.retry_after)} if refused.retry_after else None
    said = {"message": refused.message, "problems": problems}
    return JSONResponse(said, refused.status, again)


def _said_of(refused: Refused) -> str:
    """To somebody who signs in."""
    is_missing = refused.status == 401 and "no key" in refused.message
    return "Paste your key first." if is_missing else _sentence(refused.message)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."

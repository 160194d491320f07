"""The report server: what runners tell, and what they ask for. It answers on every replica.

The pod's token says who asks (`Caller`); nothing in a request names a resource, a Job or a key. A
file of the store is named as the resource names it, and only such a one is opened.
What changes the cluster is the leader's to do, so other replicas hand it on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from t2v_api.base import ContractError, ContractModel
from t2v_api.delivery import (
    BODY_BYTES,
    CHECKPOINT_FILE,
    CHECKPOINT_PATH,
    INIT_MEDIA_NAME,
    INIT_MEDIA_PATH,
    PROGRESS_PATH,
    RESULT_PATH,
    UPLOADS_PATH,
    CheckpointLink,
    InitMediaLink,
    UploadGrants,
    UploadRequest,
)
from t2v_api.progress import Progress
from t2v_api.result import GenerationFailure, GenerationResult, read_outcome

from t2v_operator.core.allowance import Allowance
from t2v_operator.delivery.stored import missing_file, stored_record
from t2v_operator.delivery.stores import Store, StoreUnavailable, grants_end

REQUESTS_PER_SECOND, REQUESTS_BURST = 5.0, 30.0
"""Of one Job."""
BODY_SECONDS = 15.0
MOST_JOBS = 10_000
"""Whose pace is remembered."""

Record = TypeVar("Record", bound=ContractModel)
Outcome = GenerationResult | GenerationFailure


@dataclass(frozen=True)
class Caller:
    """A pod that asks, and what it makes."""

    namespace: str
    pod: str
    resource: str
    """The TextToVideoJob; empty where it makes no video."""
    job: str
    folder: str | None
    """The key of its folder in the store; None where its video goes to a volume."""
    may_reuse: bool = True
    """Whether it may take a video that is in the store already."""
    init_media: Mapping[str, str] = field(default_factory=dict)
    """What its request starts from in the store: the key of each `store://` name."""
    is_stopped: bool = False
    """Its video was cancelled: it may leave a checkpoint, and nothing else."""
    fetches: str = ""
    """The VideoModel that it fetches; empty where it makes a video."""


class UnknownCaller(Exception):
    """The token is none of a pod of ours that runs; says what is wrong, never the token."""


class CannotTell(Exception):
    """Who asks cannot be found out just now; it is worth another try."""


class Newsroom(Protocol):
    """Who takes in what runners tell."""

    async def progress(self, caller: Caller, progress: Progress) -> None: ...

    async def outcome(self, caller: Caller, outcome: Outcome) -> None: ...


Identify = Callable[[str], Awaitable[Caller]]
"""Takes a token. Raises UnknownCaller, CannotTell."""
HandOn = Callable[[Request, bytes], Awaitable[Response | None]]
"""Takes a request and its body, gives the leader's answer; None where we lead ourselves."""


def report_app(
    identify: Identify, newsroom: Newsroom, hand_on: HandOn, store: Store | None
) -> Starlette:
    """The ASGI application."""
    allowances: dict[str, Allowance] = {}

    async def admitted(request: Request, also_stopped: bool = False) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise HTTPException(401, "show the pod's token: 'Authorization: Bearer …'")
        try:
            caller = await identify(token)
        except UnknownCaller as error:
            raise HTTPException(403, str(error)) from None
        except CannotTell as error:
            raise HTTPException(503, str(error)) from None
        if caller.is_stopped and not also_stopped:
            raise HTTPException(403, f"pod {caller.pod} makes a video that was cancelled")
        job = f"{caller.namespace}/{caller.job}"
        allowance = allowances.pop(job, None) or Allowance(REQUESTS_PER_SECOND, REQUESTS_BURST)
        allowances[job] = allowance
        while len(allowances) > MOST_JOBS:
            del allowances[next(iter(allowances))]
        if not allowance.take(time.monotonic()):
            raise HTTPException(429, "too many requests of this Job", {"Retry-After": "2"})
        return caller

    async def progress(request: Request) -> Response:
        caller = await admitted(request)
        body = await _body(request)
        report = _parsed(Progress, body)
        handed_on = await hand_on(request, body)
        if handed_on:
            return handed_on
        await newsroom.progress(caller, report)
        return Response(status_code=204)

    async def outcome(request: Request) -> Response:
        caller = await admitted(request)
        body = await _body(request)
        if caller.fetches:
            # Its pod's termination message is what counts.
            return Response(status_code=204)
        try:
            record = read_outcome(body.decode(errors="replace"))
        except ContractError as error:
            raise HTTPException(422, str(error)) from None
        handed_on = await hand_on(request, body)
        if handed_on:
            return handed_on
        if store and caller.folder and isinstance(record, GenerationResult):
            missing = await missing_file(record, caller.folder, store)
            if missing:
                raise HTTPException(409, f"{missing} is not in the store, or not all of it")
        await newsroom.outcome(caller, record)
        return Response(status_code=204)

    async def found(request: Request) -> Response:
        caller = await admitted(request)
        if not store or not caller.folder or not caller.may_reuse:
            raise HTTPException(404, "this video is made anew")
        record = await stored_record(caller.folder, store)
        if record is None:
            raise HTTPException(404, "no whole video of this request is in the store")
        return Response(record.json_line(), media_type="application/json")

    async def uploads(request: Request) -> Response:
        caller = await admitted(request, also_stopped=True)
        wanted = _parsed(UploadRequest, await _body(request))
        if caller.is_stopped and any(file.name != CHECKPOINT_FILE for file in wanted.files):
            raise HTTPException(403, f"pod {caller.pod} makes a video that was cancelled")
        if not store or not caller.folder:
            raise HTTPException(409, "this video goes to no store")
        grants = []
        for file in wanted.files:
            key = f"{caller.folder}/{file.name}"
            there = await store.find(key) if wanted.are_uploaded else None
            if there is None or not there.is_whole(file):
                grants.append(await store.grant(key, file))
        answer = UploadGrants(grants=tuple(grants), expires=grants_end())
        return Response(answer.json_line(), media_type="application/json")

    async def checkpoint(request: Request) -> Response:
        caller = await admitted(request)
        if not store or not caller.folder:
            raise HTTPException(404, "this video goes to no store")
        key = f"{caller.folder}/{CHECKPOINT_FILE}"
        is_there = await store.find(key) is not None
        answer = CheckpointLink(url=await store.grant_to_read(key) if is_there else None)
        return Response(answer.json_line(), media_type="application/json")

    async def init_media(request: Request) -> Response:
        caller = await admitted(request)
        key = caller.init_media.get(request.query_params.get(INIT_MEDIA_NAME, ""))
        if not store or not key:
            raise HTTPException(404, "this video's request names no such file of the store")
        is_there = await store.find(key) is not None
        url = await store.grant_to_read(key) if is_there else None
        answer = InitMediaLink(namespace=caller.namespace, url=url)
        return Response(answer.json_line(), media_type="application/json")

    return Starlette(
        routes=[
            Route(PROGRESS_PATH, progress, methods=["POST"]),
            Route(RESULT_PATH, outcome, methods=["POST"]),
            Route(RESULT_PATH, found, methods=["GET"]),
            Route(UPLOADS_PATH, uploads, methods=["POST"]),
            Route(INIT_MEDIA_PATH, init_media, methods=["GET"]),
            Route(CHECKPOINT_PATH, checkpoint, methods=["GET"]),
        ],
        exception_handlers={StoreUnavailable: _store_unavailable},
    )


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise HTTPException(413, f"more than {BODY_BYTES} bytes")
    except (TimeoutError, ClientDisconnect):
        raise HTTPException(408, f"the body did not come within {BODY_SECONDS:g} s") from None
    return bytes(body)


def _parsed(record: type[Record], body: bytes) -> Record:
    try:
        return record.parse_json(body)
    except ContractError as error:
        raise HTTPException(422, str(error)) from None


async def _store_unavailable(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", status_code=503)

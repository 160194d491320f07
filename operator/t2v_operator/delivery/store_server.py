"""The embedded store, `t2v store`: files in a folder, read and written by signed URLs alone.

A file appears under its key when all of it is there and its checksum is right, never before.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from t2v_api.delivery import content_type

from t2v_operator.delivery.signatures import SHA256, SIZE, Method, NotAllowed, SigningKeys, check

UPLOADS = ".uploads"
"""The folder of files that are still coming in."""
CHUNK_BYTES = 64 * 1024
"""Held in memory for each upload."""
SPARE_BYTES = 64 * 1024 * 1024
"""What must be left on the disk after an upload."""
SILENCE_SECONDS = 60.0
"""An upload that brings nothing for that long is given up."""

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")

HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "Content-Disposition": "inline",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def store_app(folder: Path, keys: Callable[[], SigningKeys]) -> Starlette:
    """The ASGI application that serves `folder`. `keys` is asked at each request."""
    uploads = folder / UPLOADS
    shutil.rmtree(uploads, ignore_errors=True)
    uploads.mkdir(parents=True)
    coming = 0  # bytes of the uploads that are under way

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def read(request: Request) -> Response:
        path = _allowed(request, "GET")
        if not path.is_file():
            raise HTTPException(404, "there is no such file; it may have been removed")
        response = FileResponse(path, media_type=content_type(path.name), headers=HEADERS)
        response.set_stat_headers(path.stat())
        if response.headers["etag"] in _etags(request):
            kept = {name: response.headers[name] for name in ("etag", "cache-control")}
            return Response(status_code=304, headers=kept)
        return response

    async def write(request: Request) -> Response:
        path = _allowed(request, "PUT")
        size, sha256 = int(request.query_params[SIZE]), request.query_params[SHA256]
        length = request.headers.get("content-length", "")
        if length != str(size):
            raise HTTPException(400, f"the grant is for {size} bytes, not {length or 'unknown'}")
        nonlocal coming
        if shutil.disk_usage(folder).free < coming + size + SPARE_BYTES:
            raise HTTPException(507, "the store's disk is full")
        part = uploads / secrets.token_hex(16)
        coming += size
        try:
            await _receive(request, part, size, sha256)
            await asyncio.to_thread(_publish, part, path)
        except (ClientDisconnect, TimeoutError):
            raise HTTPException(408, "the upload ended before its end") from None
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            text = "the store's disk is full" if full else f"cannot write: {error.strerror}"
            raise HTTPException(507, text) from None
        finally:
            coming -= size
            part.unlink(missing_ok=True)
        return Response(status_code=201)

    async def remove(request: Request) -> Response:
        path = _allowed(request, "DELETE")
        await asyncio.to_thread(_remove, path, folder)
        return Response(status_code=204)

    def _allowed(request: Request, method: Method) -> Path:
        key: str = request.path_params["key"]
        if not KEY.fullmatch(key):
            raise HTTPException(404, "there is no such file")
        try:
            check(method, key, request.query_params, keys())
        except NotAllowed as error:
            raise HTTPException(403, str(error)) from None
        return folder / key

    return Starlette(
        routes=[
            Route("/healthz", health),
            Route("/{key:path}", read, methods=["GET"]),
            Route("/{key:path}", write, methods=["PUT"]),
            Route("/{key:path}", remove, methods=["DELETE"]),
        ]
    )


async def _receive(request: Request, part: Path, size: int, sha256: str) -> None:
    """Write the body to `part`. Raises HTTPException where it is not what was granted."""
    digest, received, waiting = hashlib.sha256(), 0, bytearray()

    def take(data: bytearray) -> None:
        digest.update(data)
        file.write(data)

    with part.open("xb") as file:
        stream = request.stream()
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                break
            received += len(chunk)
            if received > size:
                raise HTTPException(413, f"more than the {size} bytes of the grant")
            waiting += chunk
            if len(waiting) >= CHUNK_BYTES:
                full, waiting = waiting, bytearray()
                await asyncio.to_thread(take, full)
        await asyncio.to_thread(take, waiting)
        await asyncio.to_thread(_flush, file.fileno(), file.flush)
    if received != size or digest.hexdigest() != sha256:
        raise HTTPException(400, "the body is not the file that was granted: its checksum differs")


def _flush(handle: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(handle)


def _publish(part: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(path: Path, root: Path) -> None:
    """The file, and the folders that are empty without it."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in path.parents:
            if folder == root:
                break
            folder.rmdir()


def _etags(request: Request) -> list[str]:
    given = request.headers.get("if-none-match", "")
    return [each.strip().removeprefix("W/") for each in given.split(",")]

"""Run an ASGI application in this process, until the task is cancelled."""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

IDLE_SECONDS = 75
"""How long a client may keep a connection that it does not use."""
GRACE_SECONDS = 10
"""For requests that are under way at the end."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for whoever runs the process."""
        yield


async def serve(app: ASGIApp, port: int, tls: ssl.SSLContext | None = None) -> None:
    """Serve on every address. Raises OSError where the port is taken."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        host="",
        port=port,
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=(lambda *_: tls) if tls else None,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    except SystemExit:
        raise OSError(f"cannot serve on port {port}") from None
    finally:
        server.should_exit = True
        with contextlib.suppress(BaseException):
            await serving


def load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Use it from now on, for new connections. Python loads certificates from files only."""
    handle = os.memfd_create("certificate")
    try:
        os.write(handle, key + b"\n" + certificate)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)

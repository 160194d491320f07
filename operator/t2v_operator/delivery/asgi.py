"""Run an ASGI application in this process, until the task is cancelled."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS = 1000
"""Open at a time: each costs a TLS server a quarter of a mebibyte."""
REQUEST_SECONDS = 10.0
"""From a connection to its first request."""
IDLE_SECONDS = 20
"""How long a client may keep a connection that it does not use."""
BACKLOG = 1024
READ_BYTES = 64 * 1024
GRACE_SECONDS = 2
"""For requests that are under way at the end."""


class _Connection(HttpToolsProtocol):
    """One that does not come to the point is cut; there are only so many at a time."""

    _open = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if hasattr(transport, "max_size"):
            # asyncio reads four times as much at once, for each of many uploads.
            transport.max_size = READ_BYTES
        _Connection._open += 1
        if _Connection._open > MOST_CONNECTIONS:
            transport.close()
            return
        self._deadline = self.loop.call_later(REQUEST_SECONDS, transport.abort)

    def on_headers_complete(self) -> None:
        """A request has begun: from here on whoever answers it keeps the time."""
        self._cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        _Connection._open -= 1
        self._cancel()
        super().connection_lost(exc)

    def _cancel(self) -> None:
        if self._deadline:
            self._deadline.cancel()


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
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        http=_Connection,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=(lambda *_: tls) if tls else None,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[_listening(port)]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        with contextlib.suppress(BaseException):
            await serving


def _listening(port: int) -> socket.socket:
    """On every address, of both families where the machine has both. Raises OSError."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
        )
    return socket.create_server(("", port), backlog=BACKLOG)


def load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Use it from now on, for new connections. Python loads certificates from files only."""
    handle = os.memfd_create("certificate")
    try:
        os.write(handle, key + b"\n" + certificate)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)

"""Run an ASGI application in this process, until the task is cancelled."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import struct
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS = 1000
"""Open at a time: each costs a TLS server a quarter of a mebibyte."""
REQUEST_SECONDS = 10.0
"""From a connection to its first request; also for the rest of a body that nobody reads."""
IDLE_SECONDS = 20
"""How long a client may keep a connection that it does not use."""
STALLED_SECONDS = 30.0
"""A client that reads less than `LEAST_BYTES` of its answer in that time is cut."""
LEAST_BYTES = 4096
BACKLOG = 1024
READ_BYTES = 64 * 1024
GRACE_SECONDS = 2
"""For requests that are under way at the end."""


class _Connection(HttpToolsProtocol):
    """One that does not come to the point is cut; there are only so many at a time.

    One timer runs whenever it is the client's turn: to ask, or to read what it is sent.
    """

    stalled_seconds = STALLED_SECONDS
    _open = 0
    _timer: asyncio.TimerHandle | None = None
    _read = 0
    """Bytes that the client's machine had taken when the timer was set."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if hasattr(transport, "max_size"):
            # asyncio reads four times as much at once, for each of many uploads.
            transport.max_size = READ_BYTES
        _Connection._open += 1
        if _Connection._open > MOST_CONNECTIONS:
            transport.close()
            return
        self._watch(REQUEST_SECONDS)

    def on_headers_complete(self) -> None:
        """A request has begun: from here on whoever answers it keeps the time."""
        if not self.flow.write_paused:
            self._cancel()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The next request may take its time, what is left of this one's body may not."""
        super().on_response_complete()
        is_last = self.cycle.response_complete
        if is_last:  # of those that were sent at once
            left = self.cycle.more_body
            self._watch(REQUEST_SECONDS if left else IDLE_SECONDS + REQUEST_SECONDS)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch(self.stalled_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.cycle.response_complete:
            self._cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        _Connection._open -= 1
        self._cancel()
        super().connection_lost(exc)

    def _watch(self, seconds: float) -> None:
        self._cancel()
        self._read = _acknowledged(self.transport)
        self._timer = self.loop.call_later(seconds, self._look, seconds)

    def _look(self, seconds: float) -> None:
        """Cut it, unless it is reading what waits for it here."""
        has_read = _acknowledged(self.transport) - self._read
        if self.transport.get_write_buffer_size() and has_read >= LEAST_BYTES:
            self._watch(seconds)
        else:
            self.transport.abort()

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()


def _acknowledged(transport: asyncio.Transport) -> int:
    """How many bytes the client's machine has taken.

    What this process has written tells less: the kernel keeps megabytes of it.
    """
    connected = transport.get_extra_info("socket")
    if connected is None or connected.fileno() < 0:
        return 0
    # struct tcp_info, tcpi_bytes_acked: https://man7.org/linux/man-pages/man7/tcp.7.html
    told = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    return int(struct.unpack_from("Q", told, 120)[0])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for whoever runs the process."""
        yield


async def serve(
    app: ASGIApp,
    port: int,
    tls: ssl.SSLContext | None = None,
    *,
    stalled_seconds: float = STALLED_SECONDS,
) -> None:
    """Serve on every address. Raises OSError where the port is taken.

    `stalled_seconds`: how long a client may read next to nothing of its answer.
    """

    class Connection(_Connection):
        pass

    Connection.stalled_seconds = stalled_seconds
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        http=Connection,
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

"""An ASGI application behind a real server on a loopback port."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

import httpx2
from t2v_operator.delivery.asgi import serve


@contextmanager
def served(app: Any, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Its port, until the block ends. `app`, or what opens it in the server's own event loop."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()

    async def run() -> None:
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(app) if _opens(app) else app
            serving = asyncio.create_task(serve(opened, port, tls))
            started.set_result((asyncio.get_running_loop(), serving))
            with suppress(asyncio.CancelledError):
                await serving

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        loop, serving = started.result(10)
        _wait_for(port)
        yield port
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(20)
        assert not thread.is_alive()


def _opens(app: Any) -> bool:
    return hasattr(app, "__aenter__")


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            threading.Event().wait(0.02)
        else:
            return
    raise AssertionError(f"nothing serves on port {port}")


def client(**options: Any) -> httpx2.Client:
    return httpx2.Client(trust_env=False, **options)

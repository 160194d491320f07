"""The port for the kubelet and Prometheus: /healthz, /readyz, /metrics."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from t2v_operator.cluster.kinds import Kind
from t2v_operator.cluster.reflector import Reflector

PORT = 8080
HANGS_SECONDS = 300.0
"""A watch that has not even tried anything for that long is dead."""

Complaint = Callable[[], str]
"""What is wrong; empty when nothing is."""


def hangs(reflectors: Iterable[Reflector]) -> str:
    """What a restart would mend: a task that hangs. An API server that is away is none."""
    now = time.monotonic()
    hung = [each.kind.plural for each in reflectors if now - each.tried > HANGS_SECONDS]
    return f"the watch of {', '.join(hung)} hangs" if hung else ""


def still_fills(missing: Iterable[Kind]) -> str:
    """What of the caches is not there yet."""
    names = ", ".join(sorted({kind.plural for kind in missing}))
    return f"the caches are being filled: {names}" if names else ""


@asynccontextmanager
async def health_server(
    dead: Complaint, not_ready: Complaint, registry: CollectorRegistry, port: int = PORT
) -> AsyncIterator[None]:
    """Serve until the block ends."""

    def answer(complaint: Complaint) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(_: web.Request) -> web.Response:
            text = complaint()
            return web.Response(status=503 if text else 200, text=f"{text or 'ok'}\n")

        return handle

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.router.add_get("/healthz", answer(dead))
    app.router.add_get("/readyz", answer(not_ready))
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        yield
    finally:
        await runner.cleanup()

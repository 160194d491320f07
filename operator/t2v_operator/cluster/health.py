"""The port for the kubelet and Prometheus: /healthz, /readyz, /metrics."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

PORT = 8080

Complaint = Callable[[], str]
"""What is wrong; empty when nothing is."""


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

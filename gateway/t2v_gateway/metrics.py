"""What the gateway tells Prometheus: docs/gateway.md explains each figure.

Labels are bounded: routes as they are written in code, no key, no id, no text of a request.
"""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NO_ROUTE = "none"
NOBODY_THERE = 499
"""No answer was sent: its client had gone."""


class Metrics:
    """Counts requests."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.requests = Counter(
            "t2v_gateway_requests_total",
            "Requests that were answered.",
            ("method", "route", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "t2v_gateway_request_seconds",
            "From a request's head to the end of its answer, with the wait for its video.",
            ("route",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.open = Gauge(
            "t2v_gateway_open_requests",
            "Requests that are being answered.",
            registry=self.registry,
        )


class Counting:
    """Counts every request of an application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), NOBODY_THERE

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.open.inc()
        try:
            await self._app(scope, receive, seen)
        except Exception:
            status = 500
            raise
        finally:
            self._metrics.open.dec()
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.monotonic() - began)

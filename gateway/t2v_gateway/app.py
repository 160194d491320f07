"""The gateway as an ASGI application: its rooms, and what all of them share."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from t2v_gateway.docs_page import add_docs
from t2v_gateway.endpoint import answers, documents, routes
from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.memory import Room, Sharing
from t2v_gateway.metrics import Counting, Metrics
from t2v_gateway.openai import errors as openai_errors
from t2v_gateway.openai import routes as openai_routes
from t2v_gateway.page import addresses
from t2v_gateway.safety import Safety, WithoutSlash

ENDPOINT = "/api/"
"""What the addresses of the documented endpoint begin with."""
CORS_SECONDS = 600
METHODS = ("GET", "POST", "DELETE")


def application(gateway: Gateway, metrics: Metrics | None = None) -> FastAPI:
    """Everything that is served on the gateway's port."""
    app = FastAPI(title="Text to video", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.include_router(routes.router(gateway))
    app.include_router(openai_routes.router(gateway))
    if gateway.settings.page:
        app.include_router(addresses.router(gateway))
    add_docs(app)
    _describe(app)
    _answer_errors(app, gateway)
    _surround(app, gateway, metrics or Metrics())
    return app


def _answer_errors(app: FastAPI, gateway: Gateway) -> None:
    """Each room's errors have that room's form."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return answers.refusal(error, gateway.settings.errors)

    @app.exception_handler(HTTPException)
    async def no_such_address(request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith(f"{openai_routes.PREFIX}/"):
            return openai_errors.http_error(error)
        if not request.url.path.startswith(ENDPOINT):
            return await http_exception_handler(request, error)
        told = HTTPStatus(error.status_code).phrase.lower()
        return JSONResponse(answers.failure(told), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        """Told in the log, and to nobody else."""
        return JSONResponse(answers.failure("the gateway failed; its log says why"), 500)


def _surround(app: FastAPI, gateway: Gateway, metrics: Metrics) -> None:
    """The last one added is the outermost."""
    settings = gateway.settings
    app.add_middleware(Sharing, room=Room(settings.memory_bytes))
    app.add_middleware(WithoutSlash)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=("Authorization", "Content-Type", "Idempotency-Key"),
            expose_headers=("Retry-After",),
            max_age=CORS_SECONDS,
        )
    app.add_middleware(Safety, https=(settings.public_url or "").startswith("https://"))
    app.add_middleware(Counting, metrics=metrics)


def _describe(app: FastAPI) -> None:
    """Bodies and keys, which the routes read themselves, in the OpenAPI document."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        known = document.setdefault("components", {})
        for kind, parts in documents.components().items():
            known.setdefault(kind, {}).update(parts)
        return document

    app.openapi = openapi  # type: ignore[method-assign]

"""The gateway as an ASGI application: its rooms, and what all of them share."""

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from t2v_gateway.endpoint import answers, routes
from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.openai import errors as openai_errors
from t2v_gateway.openai import routes as openai_routes
from t2v_gateway.settings import ErrorForm


def application(gateway: Gateway) -> FastAPI:
    """Everything that is served on the gateway's port."""
    app = FastAPI(title="Text to video", docs_url=None, redoc_url=None)
    app.include_router(routes.router(gateway))
    app.include_router(openai_routes.router(gateway))

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        as_documented = gateway.settings.errors is ErrorForm.AS_DOCUMENTED
        status = 200 if as_documented else error.status
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
        return JSONResponse(answers.refusal(error), status, headers)

    @app.exception_handler(HTTPException)
    async def no_such_route(request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith(f"{openai_routes.PREFIX}/"):
            return openai_errors.http_error(error)
        return await http_exception_handler(request, error)

    return app

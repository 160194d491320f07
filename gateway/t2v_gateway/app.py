"""The gateway as an ASGI application: its rooms, and what all of them share."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from t2v_gateway.endpoint import answers, routes
from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.page import addresses
from t2v_gateway.settings import ErrorForm


def application(gateway: Gateway) -> FastAPI:
    """Everything that is served on the gateway's port."""
    app = FastAPI(title="Text to video", docs_url=None, redoc_url=None)
    app.include_router(routes.router(gateway))
    if gateway.settings.page:
        app.include_router(addresses.router(gateway))

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        as_documented = gateway.settings.errors is ErrorForm.AS_DOCUMENTED
        status = 200 if as_documented else error.status
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
        return JSONResponse(answers.refusal(error), status, headers)

    return app

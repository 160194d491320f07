"""Errors as OpenAI's API has them: `{"error": {"message", "type", "param", "code"}}`."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from t2v_gateway.errors import Refused

CODES = {
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    503: "service_unavailable",
}
"""Of refusals that name no other."""
INVALID_VALUE = "invalid_value"

PARAMETERS = {
    "modelId": "model",
    "negativePrompt": "negative_prompt",
    "numInferenceSteps": "num_inference_steps",
    "guidanceScale": "guidance_scale",
    "enhancePrompt": "enhance_prompt",
    "initImage": "input_reference",
    "loadBalancer": "load_balancer",
    "numFrames": "num_frames",
}
"""Fields of the resource that have another name here."""
SAME_NAMES = ("prompt", "width", "height", "seed", "fps", "scheduler", "speed", "strength")
NAMES = frozenset((*PARAMETERS.values(), *SAME_NAMES))
FIELD = re.compile(rf"\b({'|'.join(PARAMETERS)})\b")
BEGINNING = re.compile(r"'?([a-z]\w*)'?(?=:| is | goes )")


class ErrorDetail(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    message: str
    """For people."""
    type: str
    """invalid_request_error, rate_limit_error or server_error."""
    param: str | None
    """The parameter that is to blame."""
    code: str | None
    """For programs."""


class ErrorAnswer(BaseModel):
    """A request that got nothing."""

    error: ErrorDetail


class BadParameter(Refused):
    """One parameter is to blame."""

    def __init__(
        self, message: str, param: str | None, code: str = INVALID_VALUE, status: int = 400
    ) -> None:
        super().__init__(status, message)
        self.param = param
        self.code = code


class InOpenAiForm(APIRoute):
    """A route whose refusals have that form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Refused as error:
                return refusal(error)
            except RequestValidationError as error:
                return refusal(_bad_parameter(error))
            except HTTPException as error:
                return http_error(error)

        return handled


def refusal(error: Refused) -> Response:
    """The answer that says so."""
    param, message = in_our_words(error.message)
    param = getattr(error, "param", param)
    code = getattr(error, "code", None) or CODES.get(error.status, INVALID_VALUE)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return _answer(error.status, message, param, code, headers)


def http_error(error: HTTPException) -> Response:
    """Of the framework's own: no such address, no such method, a broken form."""
    code = CODES.get(error.status_code, INVALID_VALUE)
    headers = dict(error.headers) if error.headers else None
    return _answer(error.status_code, str(error.detail), None, code, headers)


def in_our_words(message: str) -> tuple[str | None, str]:
    """The parameter that a message begins with, and the message with our names in it."""
    told = FIELD.sub(lambda found: PARAMETERS[found[0]], "; ".join(message.splitlines()))
    begin = BEGINNING.match(told)
    return (begin[1] if begin and begin[1] in NAMES else None), told


def _bad_parameter(error: RequestValidationError) -> BadParameter:
    detail = error.errors()[0]
    name = str(detail["loc"][-1])
    return BadParameter(f"{name}: {detail['msg']}, not {str(detail['input'])[:80]!r}", name)


def _answer(
    status: int, message: str, param: str | None, code: str, headers: dict[str, str] | None
) -> Response:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    kind = "rate_limit_error" if status == 429 else kind
    # What cannot be written as UTF-8 may stand in a client's own words.
    readable = message.encode(errors="replace").decode()
    detail = ErrorDetail(message=readable, type=kind, param=param, code=code)
    return JSONResponse(ErrorAnswer(error=detail).model_dump(), status, headers)

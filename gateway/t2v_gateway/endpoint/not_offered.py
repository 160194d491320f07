"""The document's addresses for what this system does not do: each says so."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.responses import JSONResponse

from t2v_gateway.endpoint import documents
from t2v_gateway.endpoint.addresses import PREFIX
from t2v_gateway.errors import Refused

IMAGES = "this system makes videos, no images"
NOT_OFFERED = {
    "text2img": IMAGES,
    "img2img": IMAGES,
    "inpaint": IMAGES,
    "controlnet": IMAGES,
    "sync_image": IMAGES,
    "super_resolution": "videos are not enlarged; ask for the size with width and height",
    "load_vae": "a model comes with its own VAE; load_model loads it whole",
    "nsfw_image_check": "pictures are not judged here",
}


def add(routes: APIRouter) -> None:
    """All of them. They ask for no key: there is nothing behind them."""
    for name, why in NOT_OFFERED.items():
        answer = _saying(f"{name} is not offered: {why}")
        routes.add_api_route(
            f"{PREFIX}/{name}", answer, name=name, methods=["POST"], **documents.menu(documents.Key)
        )


def _saying(message: str) -> Callable[[], Awaitable[JSONResponse]]:
    async def not_offered() -> JSONResponse:
        """Not offered; the answer says why."""
        raise Refused(404, message)

    return not_offered

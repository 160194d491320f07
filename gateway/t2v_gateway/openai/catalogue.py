"""The models, as `GET /v1/models` lists them."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from t2v_api.api_key import ApiKey
from t2v_api.profile import ModelDescription

from t2v_gateway.gateway import Gateway
from t2v_gateway.openai.errors import BadParameter, ErrorAnswer

OWNER = "text-to-video"
"""Of a model that no hub names an owner of."""

GetCaller = Callable[..., Coroutine[Any, Any, ApiKey]]


class ModelAnswer(BaseModel):
    """One model: OpenAI's fields first, then this system's own."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    object: Literal["model"] = "model"
    created: int
    """Seconds since 1970; 0 for a model of the configuration."""
    owned_by: str
    """Who publishes its weights."""
    description: str
    size: str
    """What a video has where the request names none."""
    seconds: str
    """How long a video is where the request does not say."""
    is_ready: bool
    """False: its videos wait until it is fetched."""


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelAnswer]


def model_of(gateway: Gateway, name: str) -> ModelDescription | None:
    """What is known of a model, also of one that is not ready."""
    catalogue = gateway.models.catalogue
    if ready := catalogue.find(name):
        return ready.profile
    waiting = catalogue.not_ready(name)
    return waiting.spec if waiting else None


def add_routes(routes: APIRouter, gateway: Gateway, caller: GetCaller) -> None:
    """The two addresses."""

    @routes.get("/models", dependencies=[Depends(caller)])
    async def list_models() -> ModelList:
        """The models that a request may name."""
        names = gateway.models.catalogue.names
        return ModelList(data=[found for name in names if (found := _about(name, gateway))])

    @routes.get(
        "/models/{model}",
        dependencies=[Depends(caller)],
        responses={404: {"model": ErrorAnswer, "description": "There is no such model"}},
    )
    async def retrieve_model(model: Annotated[str, "its id"]) -> ModelAnswer:
        """One model."""
        found = _about(model, gateway)
        if found is None:
            text = f"model {model[:80]!r} does not exist"
            raise BadParameter(text, "model", "model_not_found", 404)
        return found


def _about(name: str, gateway: Gateway) -> ModelAnswer | None:
    """None also for a VideoModel that does not fit the contract."""
    model = model_of(gateway, name)
    if model is None:
        return None
    defaults, resource = model.defaults, gateway.models.by_name.get(name)
    created = resource.metadata.creation_timestamp if resource else None
    is_configured = name in gateway.config.catalogue
    return ModelAnswer(
        id=name,
        created=int(created.timestamp()) if created and not is_configured else 0,
        owned_by=model.source.hub.partition("/")[0] if model.source.hub else OWNER,
        description=model.description,
        size=f"{defaults.width}x{defaults.height}",
        seconds=f"{defaults.num_frames / defaults.fps:.5g}",
        is_ready=gateway.models.catalogue.find(name) is not None,
    )

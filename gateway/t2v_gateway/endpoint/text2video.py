"""From the document's attributes to the request of a resource."""

import re
from dataclasses import dataclass
from typing import Any

from t2v_api.base import ContractError
from t2v_api.ranges import MAX_SEED
from t2v_api.request import PROMPT_CHARACTERS
from t2v_api.resource import TextToVideoJobSpec
from t2v_api.schedulers import Scheduler
from t2v_api.store_name import STORE, check_store_name

from t2v_gateway.bodies import Body
from t2v_gateway.endpoint import values
from t2v_gateway.errors import Refused

WIDTH_HEIGHT = (64, 1024)
"""Pixels that the endpoint takes; a model may take fewer."""
STEPS = (1, 50)
IDLE_STRENGTH = "strength has no effect without an init_image or init_video"


@dataclass(frozen=True)
class Attribute:
    """One of a body."""

    field: str
    """Of the resource's spec."""
    read: values.Read


def _media(name: str, value: Any) -> str:
    given: str = values.address(("http://", "https://", STORE))(name, value)
    try:
        return check_store_name(given)
    except ValueError as error:
        raise Refused(400, f"{name}: {error}") from None


model_name = values.pattern(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?",
    63,
    "it must be a model's name: up to 63 letters, digits, '.', '_' or '-', as get_all_models "
    "lists them",
)

ATTRIBUTES = {
    "model_id": Attribute("modelId", model_name),
    "prompt": Attribute("prompt", values.text(PROMPT_CHARACTERS)),
    "negative_prompt": Attribute("negativePrompt", values.text(PROMPT_CHARACTERS)),
    "width": Attribute("width", values.whole(*WIDTH_HEIGHT, multiple=8)),
    "height": Attribute("height", values.whole(*WIDTH_HEIGHT, multiple=8)),
    "num_frames": Attribute("numFrames", values.whole(1, 1024)),
    "fps": Attribute("fps", values.whole(1, 60)),
    "scheduler": Attribute("scheduler", values.one_of(Scheduler)),
    "num_inference_steps": Attribute("numInferenceSteps", values.whole(*STEPS)),
    "enhance_prompt": Attribute("enhancePrompt", values.switch),
    "guidance_scale": Attribute("guidanceScale", values.number(1, 20)),
    "init_image": Attribute("initImage", _media),
    "init_video": Attribute("initVideo", _media),
    "strength": Attribute("strength", values.number(0, 1, above=True)),
    "seed": Attribute("seed", values.whole(0, MAX_SEED)),
    "webhook": Attribute("webhook", values.address(("http://", "https://"))),
    "track_id": Attribute("trackId", values.label(256)),
    "loadbalancer": Attribute("loadBalancer", values.switch),
}
"""All that is read of a body; what else stands in it is ignored."""

_BY_FIELD = {attribute.field: name for name, attribute in ATTRIBUTES.items()}
_FIELDS = re.compile(rf"(?<![\w.])({'|'.join(_BY_FIELD)})(?!\w)")


def in_words(message: str) -> str:
    """What the contract says, with the endpoint's names of things."""
    return _FIELDS.sub(lambda found: _BY_FIELD[found[0]], message)


def spec_of(body: Body, from_image: bool = False) -> TextToVideoJobSpec:
    """The request in a body. `from_image`: one of img2video. Raises Refused."""
    given = {
        attribute.field: attribute.read(name, body[name])
        for name, attribute in ATTRIBUTES.items()
        if not values.is_absent(body.get(name))
    }
    _need("model_id", given)
    _need("prompt", given)
    if from_image:
        _need("init_image", given)
    if "initImage" in given and "initVideo" in given:
        raise Refused(400, "init_image and init_video were both given; give one of them")
    if _is_idle(given):
        # The document's own example has one, beside no image at all.
        del given["strength"]
    try:
        return TextToVideoJobSpec.parse(given)
    except ContractError as error:
        raise Refused(400, in_words(str(error))) from None


def tips(body: Body) -> tuple[str, ...]:
    """What the sender of a body that was taken should know of it."""
    fields = {
        attribute.field
        for name, attribute in ATTRIBUTES.items()
        if not values.is_absent(body.get(name))
    }
    return (IDLE_STRENGTH,) if _is_idle(fields) else ()


def _is_idle(fields: Any) -> bool:
    return "strength" in fields and not {"initImage", "initVideo"} & set(fields)


def _need(name: str, given: dict[str, Any]) -> None:
    if ATTRIBUTES[name].field not in given:
        raise Refused(400, f"{name} is required; it was not given, or is empty")

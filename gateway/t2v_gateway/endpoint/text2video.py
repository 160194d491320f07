"""`text2video`: from the document's attributes to a resource."""

from typing import Any

from t2v_api.base import ContractError
from t2v_api.resource import TextToVideoJobSpec

from t2v_gateway.bodies import Body
from t2v_gateway.errors import Refused

ATTRIBUTES = {
    "model_id": "modelId",
    "prompt": "prompt",
    "negative_prompt": "negativePrompt",
    "width": "width",
    "height": "height",
    "scheduler": "scheduler",
    "num_inference_steps": "numInferenceSteps",
    "enhance_prompt": "enhancePrompt",
    "guidance_scale": "guidanceScale",
    "strength": "strength",
    "seed": "seed",
    "webhook": "webhook",
    "track_id": "trackId",
    "loadbalancer": "loadBalancer",
}
NUMBERS = ("width", "height", "num_inference_steps", "seed", "guidance_scale", "strength")
SWITCHES = {"yes": True, "true": True, "no": False, "false": False}


def spec_of(body: Body) -> TextToVideoJobSpec:
    """The request in a body. Raises Refused."""
    given = {name: body[name] for name in ATTRIBUTES if body.get(name) not in (None, "")}
    document = {ATTRIBUTES[name]: _value(name, value) for name, value in given.items()}
    try:
        return TextToVideoJobSpec.parse(document)
    except ContractError as error:
        raise Refused(400, str(error)) from None


def _value(name: str, value: Any) -> Any:
    if name in NUMBERS and isinstance(value, str):
        number = float(value)
        return int(number) if number.is_integer() and name != "guidance_scale" else number
    if name in ("enhance_prompt", "loadbalancer") and isinstance(value, str):
        return SWITCHES.get(value.lower(), value)
    return value

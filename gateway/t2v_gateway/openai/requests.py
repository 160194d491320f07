"""From a request's parameters to a resource's spec."""

import binascii
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from t2v_api.api_key import ApiKey
from t2v_api.base import ContractError, nearest
from t2v_api.profile import ModelDescription
from t2v_api.ranges import FPS, FRAMES, GUIDANCE, SEED, STEPS, STRENGTH, WIDTH_HEIGHT
from t2v_api.request import PROMPT_CHARACTERS
from t2v_api.resource import NOT_BLANK, OutputPolicy, TextToVideoJobSpec
from t2v_api.schedulers import Scheduler
from t2v_api.speed import Speed
from t2v_api.store_name import STORE

from t2v_gateway.bodies import File
from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.openai.catalogue import model_of
from t2v_gateway.openai.errors import PARAMETERS, SAME_NAMES, BadParameter
from t2v_gateway.openai.reading import FILE_FIELD, Parameters
from t2v_gateway.uploads import keep

PROMPT = Field(min_length=1, max_length=PROMPT_CHARACTERS, pattern=NOT_BLANK)
SIZE = r"^[0-9]{1,5}x[0-9]{1,5}$"
MOST_SECONDS = 1024
WEB_ADDRESS = re.compile(r"(https?|store)://")
NOT_YET_KEPT = f"{STORE}uploads/image"
"""Stands for an image until the rest of the request is known to be right."""
DATA_URL = re.compile(r"data:[^,]{0,100};base64,")

Seconds = Annotated[
    float,
    Field(gt=0, le=MOST_SECONDS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[1-9][0-9]{0,2}(\.[0-9]+)?$"},
                {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_SECONDS},
            ]
        }
    ),
]


class Reference(BaseModel):
    """An image to start from."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    image_url: str | None = None
    """An http(s):// address, or a data: URL in base64."""
    file_id: str | None = None
    """Is refused: there are no files to refer to."""


class CreateVideo(BaseModel):
    """What `POST /v1/videos` takes: OpenAI's parameters first, then this system's own."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    prompt: Annotated[str, PROMPT]
    """What the video shows."""
    model: Annotated[str, Field(max_length=256)] | None = None
    """A modelId. Left out: the first of the configuration's catalogue."""
    seconds: Seconds | None = None
    """How long. It becomes the nearest number of frames that the model can draw. Left out: the
    model's own length."""
    size: Annotated[str, Field(pattern=SIZE)] | None = None
    """WIDTHxHEIGHT in pixels. Left out: the model's own."""
    input_reference: Reference | str | None = None
    """An image to start from: a file of a form, an object with `image_url`, or that URL."""
    negative_prompt: Annotated[str, Field(max_length=PROMPT_CHARACTERS)] | None = None
    """What the video must not show."""
    width: Annotated[int, WIDTH_HEIGHT] | None = None
    """In place of `size`, with `height`."""
    height: Annotated[int, WIDTH_HEIGHT] | None = None
    """In place of `size`, with `width`."""
    num_frames: Annotated[int, FRAMES] | None = None
    """In place of `seconds`."""
    fps: Annotated[int, FPS] | None = None
    """Frames per second. Left out: the model's."""
    num_inference_steps: Annotated[int, STEPS] | None = None
    """Denoising steps. Left out: the model's."""
    guidance_scale: Annotated[float, GUIDANCE] | None = None
    """Left out: the model's."""
    seed: Annotated[int, SEED] | None = None
    """Left out: drawn once, and told in the answer."""
    scheduler: Scheduler | None = None
    """A diffusers scheduler class. Left out: the model's."""
    enhance_prompt: bool | None = None
    """Left out: true, as the model's profile says."""
    strength: Annotated[float, STRENGTH] | None = None
    """How much of the image is destroyed when it is drawn anew, above 0 up to 1."""
    speed: Speed | None = None
    """Left out: Exact."""
    load_balancer: bool | None = None
    """True: the least busy of the GPU pools that the key opens."""


class RemixVideo(BaseModel):
    """What a remix takes."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    prompt: Annotated[str, PROMPT]
    """What the new video shows."""


Parsed = TypeVar("Parsed", bound=BaseModel)

SPEC_NAMES = {name: field for field, name in PARAMETERS.items()} | {
    name: name for name in SAME_NAMES
}
"""Of the parameters that are fields of the resource as they stand."""


def asked_for(parameters: Parameters) -> CreateVideo:
    """The request as it was written, but for a file. Raises Refused."""
    given = {n: value for n, value in parameters.items() if not isinstance(value, File)}
    return _parsed(CreateVideo, given)


def remix_in(parameters: Parameters) -> RemixVideo:
    """Raises Refused."""
    return _parsed(RemixVideo, parameters)


async def spec_of(
    parameters: Parameters, key: ApiKey, gateway: Gateway, keeps_image: bool = True
) -> TextToVideoJobSpec:
    """What is to be made. An image goes to the store on the way. Raises Refused.

    `keeps_image`: false for a request that can only be one of before, whose image is there.
    """
    asked = asked_for(parameters)
    model_id, model = _model(asked.model, gateway)
    if asked.seconds is not None and asked.num_frames is not None:
        raise BadParameter("give one of 'seconds' and 'num_frames', not both", "num_frames")
    if asked.size and (asked.width is not None or asked.height is not None):
        raise BadParameter("give 'size', or 'width' and 'height', not both", "size")
    document = {
        SPEC_NAMES[name]: value
        for name, value in asked.model_dump(exclude_none=True, exclude={FILE_FIELD}).items()
        if name in SPEC_NAMES
    }
    document["modelId"] = model_id
    if asked.size:
        document["width"], document["height"] = map(int, asked.size.split("x"))
    if asked.seconds is not None:
        fps = asked.fps or model.defaults.fps
        document["numFrames"] = frames_of(asked.seconds, fps, model, model_id)
    if gateway.store is not None:
        # Of a deleted video OpenAI's API keeps nothing; a volume's files are out of reach.
        document["outputPolicy"] = OutputPolicy.DELETE
    if FILE_FIELD not in parameters:
        return _spec(document)
    _spec(document | {"initImage": NOT_YET_KEPT})

    async def keep_image(content: bytes) -> str:
        try:
            return (await keep(gateway, key, content, only_name=not keeps_image)).reference
        except Refused as error:
            if error.status != 400:
                raise
            raise BadParameter(f"{FILE_FIELD}: {error.message}", FILE_FIELD) from None

    image = await _image(parameters[FILE_FIELD], asked.input_reference, keep_image)
    return _spec(document | {"initImage": image})


def frames_of(seconds: float, fps: int, model: ModelDescription, model_id: str) -> int:
    """The nearest number of frames that the model can draw. Raises Refused where it is too many."""
    grid, most = model.grid, model.limits.max_frames
    count = max(0, round((seconds * fps - grid.offset) / grid.frames))
    frames = count * grid.frames + grid.offset or grid.frames
    if frames > most:
        raise BadParameter(
            f"seconds is {seconds:g}, at {fps} frames a second {frames} frames; {model_id} draws "
            f"at most {most}, which are {most / fps:.4g} seconds", "seconds",
        )  # fmt: skip
    return frames


def _model(name: str | None, gateway: Gateway) -> tuple[str, ModelDescription]:
    """Also one that is still being fetched: its video waits for it."""
    chosen = name if name is not None else gateway.config.models[0].id
    if model := model_of(gateway, chosen):
        return chosen, model
    catalogue = gateway.models.catalogue
    if unusable := catalogue.not_ready(chosen):
        raise BadParameter(f"model {chosen!r} cannot be used: {unusable.why_not}", "model")
    hint = nearest(chosen, catalogue.names)
    raise BadParameter(f"model {chosen!r} does not exist{hint}", "model", "model_not_found", 404)


async def _image(
    file: object, reference: Reference | str | None, keep_image: Callable[[bytes], Awaitable[str]]
) -> str:
    """The address of what the video starts from."""
    if isinstance(file, File):
        return await keep_image(file.data)
    if isinstance(reference, Reference):
        if reference.file_id is not None:
            raise BadParameter("file_id: there are no files here; upload the image", FILE_FIELD)
        reference = reference.image_url
    address = reference or ""
    if WEB_ADDRESS.match(address):
        return address
    if begin := DATA_URL.match(address):
        return await keep_image(_decoded(address, begin.end()))
    raise BadParameter(
        f"{FILE_FIELD} is {address[:80]!r}; give a file, an http(s):// address or a data: URL in "
        "base64", FILE_FIELD,
    )  # fmt: skip


def _decoded(text: str, begin: int) -> bytes:
    try:
        letters = memoryview(text.encode("ascii"))[begin:]
        return binascii.a2b_base64(letters, strict_mode=True)
    except ValueError:
        raise BadParameter(f"{FILE_FIELD}: the data: URL is not base64", FILE_FIELD) from None


def _spec(document: dict[str, Any]) -> TextToVideoJobSpec:
    try:
        return TextToVideoJobSpec.parse(document)
    except ContractError as error:
        raise Refused(400, str(error)) from None


def _parsed(model: type[Parsed], given: Parameters) -> Parsed:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _complaint(error.errors()[0], model) from None


def _complaint(detail: Any, model: type[BaseModel]) -> BadParameter:
    name = str(detail["loc"][0])[:80] if detail["loc"] else ""
    if detail["type"] == "missing":
        return BadParameter(f"{name} is required", name, "missing_required_parameter")
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        hint = nearest(name, model.model_fields)
        return BadParameter(f"unknown parameter: {name!r}{hint}", name, "unknown_parameter")
    if name == "size":
        return BadParameter(f"size is {detail['input']!r}; write it like 1280x720", name)
    given = repr(detail["input"])
    shown = given if len(given) <= 80 else f"{given[:80]}…"
    return BadParameter(f"{name}: {detail['msg']}, not {shown}", name)

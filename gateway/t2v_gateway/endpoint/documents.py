"""What the OpenAPI document says of the endpoint: bodies, answers, errors.

For readers and for generated clients alone: `values` and `text2video` decide what is taken.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from t2v_api.ranges import MAX_SEED
from t2v_api.request import PROMPT_CHARACTERS
from t2v_api.schedulers import Scheduler

from t2v_gateway.endpoint.text2video import STEPS, WIDTH_HEIGHT

CONTENT_TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
)

Side = Annotated[int, Field(ge=WIDTH_HEIGHT[0], le=WIDTH_HEIGHT[1], multiple_of=8)]
Switch = Literal["yes", "no"] | bool
NumberText = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]


class Documented(BaseModel):
    """A body. What else stands in it is ignored."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


class Key(Documented):
    """Nothing but the key, which may also be a bearer token."""

    key: str | None = None
    """Your API key."""


class Text2Video(Key):
    """A video to make. Numbers may come as text; null and empty texts are as if left out."""

    model_id: Annotated[str, Field(max_length=63)]
    """The model, as get_all_models names it."""
    prompt: Annotated[str, Field(min_length=1, max_length=PROMPT_CHARACTERS)]
    """What the video shows."""
    negative_prompt: Annotated[str, Field(max_length=PROMPT_CHARACTERS)] | None = None
    """What it must not show."""
    width: Side | NumberText | None = None
    """Pixels. Default: the model's."""
    height: Side | NumberText | None = None
    """Pixels. Default: the model's."""
    num_frames: Annotated[int, Field(ge=1, le=1024)] | NumberText | None = None
    """Default: the model's."""
    fps: Annotated[int, Field(ge=1, le=60)] | NumberText | None = None
    """Frames per second. Default: the model's."""
    scheduler: Scheduler | None = None
    """The sampler. Default: the model's."""
    num_inference_steps: Annotated[int, Field(ge=STEPS[0], le=STEPS[1])] | NumberText | None = None
    """Denoising steps. Default: the model's."""
    enhance_prompt: Switch | None = None
    """Enhance the prompt as the model's profile says. Default: yes."""
    guidance_scale: Annotated[float, Field(ge=1, le=20)] | NumberText | None = None
    """Scale of classifier-free guidance. Default: the model's."""
    init_image: Annotated[str, Field(max_length=2048)] | None = None
    """An image to start from: its address, or what upload_image called it."""
    init_video: Annotated[str, Field(max_length=2048)] | None = None
    """A video to start from. Not together with an init_image."""
    strength: Annotated[float, Field(gt=0, le=1)] | NumberText | None = None
    """How much of the init image or video is destroyed; 1.0 destroys all of it."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | NumberText | None = None
    """The same seed makes the same video again. Default: a random one."""
    webhook: Annotated[str, Field(max_length=2048)] | None = None
    """An address that gets a POST once the video is there, or has failed."""
    track_id: Annotated[str, Field(max_length=256)] | int | None = None
    """Stands in the webhook's body. The same request with the same one is the same video."""
    loadbalancer: Switch | None = None
    """Let the least busy of the key's GPU pools make it. Default: no, the first of them."""


class Img2Video(Text2Video):
    """A video to make of an image."""

    init_image: Annotated[str, Field(min_length=1, max_length=2048)]
    """The image to start from: its address, or what upload_image called it."""


class Fetch(Key):
    """Which video: by the id of the answer to its request, or by its track_id."""

    request_id: str | int | None = None
    """The `id` of an answer."""
    track_id: str | int | None = None
    """Of several with this one, the latest."""


class Model(Key):
    """Which model."""

    model_id: str
    """Its name."""


class PerhapsModel(Key):
    """Perhaps which model."""

    model_id: str | None = None
    """Its name."""


class LoadModel(Model):
    """A model to add, or to change."""

    url: str | None = None
    """A hub's repository: OWNER/NAME or its https://huggingface.co address."""
    revision: str | None = None
    """Its commit, tag or branch. fp16 and fp32 are ignored: the pool's GPUs decide that."""
    spec: dict[str, Any] | str | None = None
    """Of the VideoModel; needed for a model that is not there yet."""
    prefetch: Switch | None = None
    """Fetch it into the model cache now."""


class Upload(Key):
    """An image or video, in base64; in a form, as a file."""

    image: str
    """Base64, or a data: address."""


class Success(BaseModel):
    """The video is there."""

    status: Literal["success"]
    generationTime: float | None  # noqa: N815
    id: int
    output: list[str]
    meta: dict[str, Any]
    tip: str | None = None


class Processing(BaseModel):
    """The video is on its way."""

    status: Literal["processing"]
    tip: str
    eta: Annotated[int, Field(ge=1)]
    fetch_result: str
    message: str
    id: int
    output: list[str]
    meta: dict[str, Any]


class Failed(BaseModel):
    """The video could not be made."""

    status: Literal["failed"]
    message: str
    id: int
    output: list[str]
    meta: dict[str, Any]


class Error(BaseModel):
    """The request got nothing."""

    status: Literal["error"]
    message: str


class Done(BaseModel):
    """What was asked is so; what else there is to say stands beside it."""

    model_config = ConfigDict(extra="allow")

    status: Literal["success"]
    message: str


VIDEO = (Success, Processing, Failed, Error)
"""What an address of videos answers."""

ERRORS = {
    400: "The request is not one that can be met: the message names the attribute.",
    401: "No key was given, or one that is not valid.",
    403: "The key lacks the right.",
    404: "There is nothing of this name for this key, or nothing of the kind is offered.",
    408: "The body came too slowly.",
    409: "Something else happens to it, or it was asked too often.",
    413: "The body is too large.",
    422: "The Idempotency-Key went with another request.",
    429: "Too many requests, or too many videos of this key; Retry-After says when.",
    503: "The cluster does not answer; Retry-After says when to try again.",
}
"""With status 200 instead, and the same body, unless the setting `errors` is HttpStatus."""

Documentation = dict[str, Any]


def making(body: type[BaseModel]) -> Documentation:
    """Of an address that makes a video."""
    parameter = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same request is the same video.",
        "schema": {"type": "string", "maxLength": 255},
    }
    found = _documentation(VIDEO, body)
    found["openapi_extra"]["parameters"] = [parameter]
    return found


def fetching(body: type[BaseModel] | None) -> Documentation:
    """Of an address that says how far one is."""
    return _documentation(VIDEO, body)


def menu(body: type[BaseModel]) -> Documentation:
    """Of any other."""
    return _documentation((Done, Error), body)


def _documentation(
    answers: tuple[type[BaseModel], ...], body: type[BaseModel] | None
) -> Documentation:
    """By reference: FastAPI would build what checks each answer, and never use it."""
    any_of = {"anyOf": [_reference(answer) for answer in answers]}
    responses = {200: _answer("What became of it, or an error.", any_of)}
    responses |= {status: _answer(text, _reference(Error)) for status, text in ERRORS.items()}
    extra: dict[str, Any] = {"security": [{"bearer": []}, {}]}
    if body is not None:
        content = {"schema": _reference(body)}
        extra["requestBody"] = {"content": dict.fromkeys(CONTENT_TYPES, content)}
    return {"responses": responses, "openapi_extra": extra, "response_model": None}


def _answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{_name(model)}"}


def _name(model: type[BaseModel]) -> str:
    """Other rooms have an Error and a Model as well."""
    return f"Endpoint{model.__name__}"


def components() -> dict[str, Any]:
    """What the document's parts refer to."""
    bodies = (Key, Text2Video, Img2Video, Fetch, Model, PerhapsModel, LoadModel, Upload)
    bearer = {"type": "http", "scheme": "bearer", "description": "Your API key."}
    models = (*bodies, *VIDEO, Done)
    return {
        "schemas": {_name(model): _flat(model.model_json_schema()) for model in models},
        "securitySchemes": {"bearer": bearer},
    }


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its own definitions in their places: it stands in another document."""
    definitions = schema.pop("$defs", {})

    def put(part: Any) -> Any:
        if isinstance(part, list):
            return [put(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return put(definitions[part["$ref"].rpartition("/")[2]])
        return {name: put(each) for name, each in part.items()}

    flat: dict[str, Any] = put(schema)
    return flat

"""What the runner is asked to draw: every value decided, nothing left to choose."""

import hashlib
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from t2v_api.base import ContractModel
from t2v_api.lora import AppliedLora, none_is_null
from t2v_api.profile import ModelId
from t2v_api.ranges import FPS, FRAMES, GUIDANCE, SEED, STEPS, STRENGTH, WIDTH_HEIGHT
from t2v_api.schedulers import Scheduler
from t2v_api.speed import Speed, exact_is_null
from t2v_api.start import Start, start_of
from t2v_api.store_name import STORE_NAME, check_store_name

DRAWING_VERSION = 2
"""Goes up when a runner draws the same request otherwise than the runners before it."""

PROMPT_CHARACTERS = 4096
MediaUrl = Annotated[
    str,
    Field(
        max_length=2048,
        pattern=r"^(https?|file|store)://\S+$",
        json_schema_extra={"pattern": rf"^((https?|file)://\S+|{STORE_NAME})$"},
    ),
    AfterValidator(check_store_name),
]
"""Where an image or video is. The schema's pattern also says what the validator explains."""


class GenerationRequest(ContractModel):
    """The resolved request: with the same model revision it makes the same video again."""

    model_id: ModelId
    """A name in the model catalogue."""
    prompt: str = Field(min_length=1, max_length=2 * PROMPT_CHARACTERS)
    """What is drawn, after prompt enhancement."""
    negative_prompt: str = Field(default="", max_length=PROMPT_CHARACTERS)
    """What is not drawn."""
    width: Annotated[int, WIDTH_HEIGHT]
    """Pixels."""
    height: Annotated[int, WIDTH_HEIGHT]
    """Pixels."""
    num_frames: Annotated[int, FRAMES]
    """How many frames."""
    fps: Annotated[int, FPS]
    """Frames per second."""
    scheduler: Scheduler
    num_inference_steps: Annotated[int, STEPS]
    """Denoising steps."""
    guidance_scale: Annotated[float, GUIDANCE]
    """Scale of classifier-free guidance."""
    guidance_scale_2: Annotated[float, GUIDANCE] | None = None
    """That of the expert for little noise. Null: the same."""
    seed: Annotated[int, SEED]
    """Of every random number."""
    init_image: MediaUrl | None = None
    """URL of the first frame; with a `strength`, of the image that stands for every frame to start
    from."""
    end_image: MediaUrl | None = None
    """URL of the last frame."""
    init_video: MediaUrl | None = None
    """URL of the video to start from."""
    strength: Annotated[float, STRENGTH] | None = None
    """How much of the init image or video is destroyed: 1.0 all of it. Null: the image is a frame
    of the video."""
    speed: Annotated[Speed | None, AfterValidator(exact_is_null)] = None
    """How much of its exactness is given for speed. Null: Exact."""
    loras: Annotated[tuple[AppliedLora, ...] | None, AfterValidator(none_is_null)] = None
    """What is added to the model's weights. Null: nothing."""

    @model_validator(mode="after")
    def _media_fit_together(self) -> Self:
        if self.init_video and (self.init_image or self.end_image):
            raise ValueError("give 'initVideo' or images, not both")
        if self.init_video and self.strength is None:
            raise ValueError("'initVideo' needs a 'strength'")
        if self.strength is not None and not (self.init_image or self.init_video):
            raise ValueError("'strength' goes with an 'initImage' or 'initVideo'")
        if self.strength is not None and self.end_image:
            raise ValueError("'strength' does not go with an 'endImage'")
        return self

    @property
    def media(self) -> tuple[str, ...]:
        """The URLs of everything that it starts from."""
        return tuple(filter(None, (self.init_image, self.end_image, self.init_video)))

    @property
    def start(self) -> Start:
        """What it is drawn from."""
        return start_of(self.init_image, self.end_image, self.strength)

    def digest(self, model_revision: str) -> str:
        """SHA-256 in hex over all that makes the video: equal digest, equal video.

        The request's canonical JSON, what names the weights, and how this runner draws.
        """
        parts = (self.json_line(), model_revision, str(DRAWING_VERSION))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

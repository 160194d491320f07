"""What the runner leaves behind: one record, of a video or of a failure.

The same record stands beside the video as result.json and, as the authority, in the container's
termination message, which holds 4096 bytes: nothing here grows with the prompt.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from t2v_api.base import ContractError, ContractModel
from t2v_api.execution import Execution
from t2v_api.progress import Stage
from t2v_api.reasons import EXIT_CODES, ExitCode, Reason
from t2v_api.schedulers import Scheduler

TERMINATION_MESSAGE_BYTES = 4096
"""Kubernetes keeps this much of a container's termination message."""

VIDEO_FILE, POSTER_FILE, PREVIEW_FILE = "video.mp4", "poster.jpg", "preview.webp"
"""What every runner publishes, in this order."""

MESSAGE_CHARACTERS = 800
"""Even if each takes four bytes, a failure's message fits into the termination message."""

MOST_FILES = 8
"""Of one video."""
FileName = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\.[a-z0-9]+$")]

MOST_NOTICES = 4
"""Of one video."""
NOTICE_CHARACTERS = 160
Notice = Annotated[str, Field(max_length=NOTICE_CHARACTERS, pattern=r"^[ -~]+$")]
"""A sentence of ours, in ASCII."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Audio(ContractModel):
    """The sound in the MP4, as long as its frames."""

    codec: str = Field(max_length=16)
    """As FFmpeg names it."""
    sample_rate: int = Field(ge=1)
    """Samples a second."""
    channels: int = Field(ge=1)
    """2: stereo."""


class Video(ContractModel):
    """The MP4 as it was written."""

    sha256: Sha256
    """Of the file's bytes."""
    frames_sha256: Sha256
    """Of the frames before encoding, RGB bytes in order: equal for equal requests."""
    bytes: int = Field(ge=1)
    """The file's size."""
    width: int = Field(ge=1)
    """Pixels."""
    height: int = Field(ge=1)
    """Pixels."""
    frames: int = Field(ge=1)
    """How many."""
    fps: int = Field(ge=1)
    """Frames per second."""
    duration: float = Field(gt=0)
    """Seconds."""
    audio: Audio | None = None
    """Null where the model makes no sound."""


class GenerationResult(ContractModel):
    """A finished video."""

    kind: Literal["GenerationResult"] = "GenerationResult"
    output: tuple[FileName, ...] = Field(min_length=1, max_length=MOST_FILES)
    """File names: the MP4, the poster, the moving preview."""
    video: Video
    seed: int = Field(ge=0)
    scheduler: Scheduler
    scheduler_class: str = Field(max_length=128)
    """The diffusers class that ran."""
    model_revision: str = Field(max_length=512)
    execution: Execution | None = None
    """How it was drawn."""
    device: Annotated[str, Field(max_length=128)] | None = None
    """Of earlier runners, which say no more of that."""
    dtype: Annotated[str, Field(max_length=32)] | None = None
    """Of earlier runners."""
    timings: dict[Stage, float]
    """Seconds for each stage."""
    generation_time: float = Field(ge=0)
    """Seconds from the runner's start to the finished video."""
    notices: tuple[Notice, ...] = Field(default=(), max_length=MOST_NOTICES)
    """What of the request the model did not use, as only the runner could know."""
    resumed_step: Annotated[int, Field(ge=1)] | None = None
    """The denoising step that this run went on from. Null: it drew from the beginning."""


class GenerationFailure(ContractModel):
    """No video, and why."""

    kind: Literal["GenerationFailure"] = "GenerationFailure"
    reason: Reason
    message: str = Field(max_length=MESSAGE_CHARACTERS)
    stage: Stage
    """Where it ended."""
    resumed_step: Annotated[int, Field(ge=1)] | None = None
    """The denoising step that this run went on from. Null: it went on from none."""

    @property
    def exit_code(self) -> ExitCode:
        """What the runner's process exits with."""
        return EXIT_CODES[self.reason]


Outcome = Annotated[GenerationResult | GenerationFailure, Field(discriminator="kind")]
_OUTCOME: TypeAdapter[GenerationResult | GenerationFailure] = TypeAdapter(Outcome)


def read_outcome(text: str) -> GenerationResult | GenerationFailure:
    """Parse a termination message or a result.json. Raises ContractError."""
    try:
        return _OUTCOME.validate_json(text)
    except ValidationError as error:
        raise ContractError(f"not a result record: {error.error_count()} faults") from None

"""What is known of a model before it is loaded: where it is, its defaults and its limits."""

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from t2v_api.base import ContractModel
from t2v_api.family import ModelFamily
from t2v_api.grid import Grid
from t2v_api.ranges import FPS, FRAMES, GUIDANCE, STEPS, WIDTH_HEIGHT
from t2v_api.schedulers import Scheduler
from t2v_api.sizes import ModelSizes

ModelId = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
]
"""A name in the model catalogue. It is also a label value, so at most 63 characters."""


Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")]
"""A Kubernetes quantity, such as 500m or 4Gi."""


COMMIT = re.compile(r"[0-9a-f]{40}")


class PromptEnhancement(StrEnum):
    """What `enhancePrompt: true` does for this model."""

    NONE = "None"
    RULES = "Rules"


class ModelSource(ContractModel):
    """Where the weights are: a folder the runner can see, or a hub repository at a revision."""

    path: Annotated[str, Field(min_length=1)] | None = None
    """A folder in diffusers format; a relative one stands below the runner's models folder."""
    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    """A hub repository, "owner/name"."""
    revision: Annotated[str, Field(min_length=1, pattern=r"^[\w./-]+$")] | None = None
    """The hub repository's commit or tag. Required with `hub`: a branch may move."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give exactly one of 'path' and 'hub'")
        if self.hub and not self.revision:
            raise ValueError("'hub' needs a 'revision', so that a video can be made again")
        return self

    @property
    def named(self) -> str:
        """What names the weights: the hub commit, or the folder."""
        return self.revision or f"path:{self.path}"


class ModelDefaults(ContractModel):
    """What a request gets where it names nothing."""

    width: Annotated[int, WIDTH_HEIGHT]
    """Pixels."""
    height: Annotated[int, WIDTH_HEIGHT]
    """Pixels."""
    num_frames: Annotated[int, FRAMES]
    fps: Annotated[int, FPS]
    """Frames per second."""
    num_inference_steps: Annotated[int, STEPS]
    guidance_scale: Annotated[float, GUIDANCE]
    scheduler: Scheduler


class ModelLimits(ContractModel):
    """What the model can draw at all."""

    max_width: int = Field(default=1024, ge=64)
    """Pixels."""
    max_height: int = Field(default=1024, ge=64)
    """Pixels."""
    size_multiple: int = Field(default=1, ge=1)
    """Width and height are multiples of this, and of what the family needs."""
    max_frames: int = Field(ge=1)
    frames_multiple: int = Field(default=1, ge=1)
    frames_offset: int = Field(default=0, ge=0)
    """The number of frames is `framesMultiple` × n + `framesOffset`, where this model can draw
    fewer numbers than its family. Left out, the family's rule holds, such as 4n+1 for Wan."""
    max_inference_steps: int = Field(default=200, ge=1)


class ModelResources(ContractModel):
    """What a container that runs this model asks for, as Kubernetes quantities."""

    gpus: int = Field(default=1, ge=0)
    cpu: Quantity = "1"
    memory: Quantity = "4Gi"
    ephemeral_storage: Quantity | None = None
    """Disk for downloads and scratch files: asked for, and the limit. Left out, nothing is asked
    for (some nodes report no disk at all) and the limit is 50Gi."""


class ModelProfile(ContractModel):
    """One model of the catalogue."""

    id: ModelId
    description: str = ""
    source: ModelSource
    family: ModelFamily
    defaults: ModelDefaults
    limits: ModelLimits
    prompt_enhancement: PromptEnhancement = PromptEnhancement.NONE
    resources: ModelResources = ModelResources()
    sizes: ModelSizes | None = None
    """Its weights and widths, for what is known before a download (docs/memory.md)."""

    @model_validator(mode="after")
    def _defaults_keep_the_limits(self) -> Self:
        for name, value, largest in (
            ("width", self.defaults.width, self.limits.max_width),
            ("height", self.defaults.height, self.limits.max_height),
            ("numFrames", self.defaults.num_frames, self.limits.max_frames),
            (
                "numInferenceSteps",
                self.defaults.num_inference_steps,
                self.limits.max_inference_steps,
            ),
        ):
            if value > largest:
                raise ValueError(f"defaults.{name} is {value}, above the limit of {largest}")
        defaults = self.defaults
        for problem in self.grid.problems(
            width=defaults.width, height=defaults.height, numFrames=defaults.num_frames
        ):
            raise ValueError(f"defaults.{problem}")
        return self

    @property
    def grid(self) -> Grid:
        """The sizes and numbers of frames that it can draw. Raises ValueError."""
        limits, family = self.limits, self.family.traits.grid
        own = Grid(limits.size_multiple, limits.frames_multiple, limits.frames_offset)
        both = own.within(family)
        if both is None:
            raise ValueError(
                f"limits: framesMultiple {own.frames} and framesOffset {own.offset} allow numbers "
                f"of frames that {self.family} models cannot draw: those draw {family.frames}n+"
                f"{family.offset}; leave both out, or allow fewer"
            )
        return both

    @property
    def revision(self) -> str:
        """What names the weights: the hub commit, or the folder."""
        return self.source.named

    @property
    def is_pinned(self) -> bool:
        """Whether the revision names the same weights for ever: a commit; no branch or tag does.

        A folder does as well: who changes its weights gives it another name.
        """
        return self.source.path is not None or bool(COMMIT.fullmatch(self.source.revision or ""))

"""What is known of a model before it is loaded: where it is, its defaults and its limits."""

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from t2v_api.base import ContractModel
from t2v_api.family import ModelFamily
from t2v_api.schedulers import Scheduler

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


class ModelDefaults(ContractModel):
    """What a request gets where it names nothing."""

    width: int = Field(ge=64, le=1024, multiple_of=8)
    """Pixels."""
    height: int = Field(ge=64, le=1024, multiple_of=8)
    """Pixels."""
    num_frames: int = Field(ge=1, le=1024)
    fps: int = Field(ge=1, le=60)
    """Frames per second."""
    num_inference_steps: int = Field(ge=1, le=50)
    guidance_scale: float = Field(ge=1, le=20)
    scheduler: Scheduler


class ModelLimits(ContractModel):
    """What the model can draw at all."""

    max_width: int = Field(default=1024, ge=64)
    """Pixels."""
    max_height: int = Field(default=1024, ge=64)
    """Pixels."""
    size_multiple: int = Field(default=8, ge=1)
    """Width and height are multiples of this."""
    max_frames: int = Field(ge=1)
    frames_multiple: int = Field(default=1, ge=1)
    frames_offset: int = Field(default=0, ge=0)
    """The number of frames is `framesMultiple` × n + `framesOffset`: 4n+1 for Wan."""


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

    @model_validator(mode="after")
    def _defaults_keep_the_limits(self) -> Self:
        for name, value, largest in (
            ("width", self.defaults.width, self.limits.max_width),
            ("height", self.defaults.height, self.limits.max_height),
            ("numFrames", self.defaults.num_frames, self.limits.max_frames),
        ):
            if value > largest:
                raise ValueError(f"defaults.{name} is {value}, above the limit of {largest}")
        return self

    @property
    def revision(self) -> str:
        """What names the weights: the hub commit, or the folder."""
        return self.source.revision or f"path:{self.source.path}"

    @property
    def is_pinned(self) -> bool:
        """Whether the revision names the same weights for ever: a commit; no branch or tag does.

        A folder does as well: who changes its weights gives it another name.
        """
        return self.source.path is not None or bool(COMMIT.fullmatch(self.source.revision or ""))

"""What is known of a model before it is loaded: where it is, its defaults and its limits."""

import hashlib
import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from t2v_api.base import ContractModel
from t2v_api.execution import ModelExecution, Placement, Plan
from t2v_api.family import ModelFamily
from t2v_api.grid import Grid
from t2v_api.quantity import Quantity
from t2v_api.ranges import FPS, FRAMES, GUIDANCE, STEPS, WIDTH_HEIGHT
from t2v_api.schedulers import Scheduler
from t2v_api.sizes import ModelSizes
from t2v_api.start import Start

ModelId = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
]
"""A name in the model catalogue. It is also a label value, so at most 63 characters."""


COMMIT = re.compile(r"[0-9a-f]{40}")
IMAGE_REFERENCE = (
    r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*"
    r"(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)
"""`[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]`"""
IMAGES_DIR = "/images"
"""In a runner's pod: below it stand the images that hold models."""


class PromptEnhancement(StrEnum):
    """What `enhancePrompt: true` does for this model."""

    NONE = "None"
    RULES = "Rules"
    """Terms of quality are added, while the text encoder has room for them."""
    ENDPOINT = "Endpoint"
    """The language model of the configuration's `promptEnhancement` writes it anew; where that
    cannot be had, Rules do."""


class WeightsSource(ContractModel):
    """Where weights are: a folder the runner can see, or a hub repository at a revision."""

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
        return self

    @model_validator(mode="after")
    def _a_hub_has_a_revision(self) -> Self:
        if self.hub and not self.revision:
            raise ValueError("'hub' needs a 'revision', so that a video can be made again")
        return self

    @property
    def named(self) -> str:
        """What names the weights: the hub commit, or the folder."""
        return self.revision or f"path:{self.path}"

    @property
    def is_pinned(self) -> bool:
        """Whether the revision names the same weights for ever: a commit; no branch or tag does.

        A folder does as well: who changes its weights gives it another name.
        """
        return self.path is not None or bool(COMMIT.fullmatch(self.revision or ""))


class ModelSource(WeightsSource):
    """Where a model's weights are: a folder, a hub repository at a revision, or an OCI image."""

    image: Annotated[str, Field(max_length=512, pattern=IMAGE_REFERENCE)] | None = None
    """An OCI image whose root is the folder in diffusers format; each pod mounts it. By its digest,
    `NAME@sha256:…`, it names the same weights for ever; what a tag names may change."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When a node pulls the image. Left out, what Kubernetes does: Always for the tag `latest` or
    none, else IfNotPresent."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if [self.path, self.hub, self.image].count(None) != 2:
            raise ValueError("give exactly one of 'path', 'hub' and 'image'")
        return self

    @model_validator(mode="after")
    def _an_image_has_what_is_its(self) -> Self:
        if self.image and self.revision:
            raise ValueError("'revision' goes with 'hub'; an image has its digest: NAME@sha256:…")
        if self.pull_policy and not self.image:
            raise ValueError(f"pullPolicy is {self.pull_policy}; only an image is pulled")
        return self

    @property
    def named(self) -> str:
        """What names the weights: the hub commit, the folder, or the image's digest."""
        return self.image_digest or (f"image:{self.image}" if self.image else super().named)

    @property
    def is_pinned(self) -> bool:
        """As of any weights; and an image's digest names the same ones for ever, no tag does."""
        return self.image_digest is not None if self.image else super().is_pinned

    @property
    def image_digest(self) -> str | None:
        """`sha256:…` where the image is named by it."""
        return (self.image or "").partition("@")[2] or None

    @property
    def folder(self) -> str | None:
        """Where the runner sees it without fetching anything: `path`, or where an image is mounted.

        One image has one place, whatever it is to the model.
        """
        if self.image is None:
            return self.path
        return f"{IMAGES_DIR}/{hashlib.sha256(self.image.encode()).hexdigest()[:16]}"


def name_all(*sources: WeightsSource | None) -> str:
    """What names the weights of a model that comes from one source or more."""
    return "+".join(source.named for source in sources if source)


class ModelDefaults(ContractModel):
    """What a request gets where it names nothing."""

    width: Annotated[int, WIDTH_HEIGHT]
    """Pixels."""
    height: Annotated[int, WIDTH_HEIGHT]
    """Pixels."""
    num_frames: Annotated[int, FRAMES]
    """How many."""
    fps: Annotated[int, FPS]
    """Frames per second."""
    num_inference_steps: Annotated[int, STEPS]
    """Denoising steps."""
    guidance_scale: Annotated[float, GUIDANCE]
    """Scale of classifier-free guidance."""
    guidance_scale_2: Annotated[float, GUIDANCE] | None = None
    """That of Wan 2.2's expert for little noise, in videos whose `guidanceScale` is the model's.
    Left out, both experts have the same."""
    scheduler: Scheduler
    """The sampler."""


class ModelLimits(ContractModel):
    """What the model can draw at all."""

    max_width: int = Field(default=1024, ge=64)
    """Pixels."""
    max_height: int = Field(default=1024, ge=64)
    """Pixels."""
    size_multiple: int = Field(default=1, ge=1)
    """Width and height are multiples of this, and of what the family needs."""
    max_frames: int = Field(ge=1)
    """Of one video."""
    frames_multiple: int = Field(default=1, ge=1)
    """See `framesOffset`."""
    frames_offset: int = Field(default=0, ge=0)
    """The number of frames is `framesMultiple` × n + `framesOffset`, where this model can draw
    fewer numbers than its family. Left out, the family's rule holds, such as 4n+1 for Wan."""
    max_inference_steps: int = Field(default=200, ge=1)
    """Denoising steps."""


class ModelResources(ContractModel):
    """What a container that runs this model asks for, as Kubernetes quantities."""

    gpus: int = Field(default=1, ge=0)
    """0: it runs on the CPU. 2 and more draw one video together, each with the whole model."""
    cpu: Quantity = "1"
    """Of the CPU, asked for."""
    memory: Quantity = "4Gi"
    """Asked for, and the limit."""
    ephemeral_storage: Quantity | None = None
    """Disk for downloads and scratch files: asked for, and the limit. Left out, nothing is asked
    for (some nodes report no disk at all) and the limit is 50Gi."""


class ModelDescription(ContractModel):
    """All that is known of a model but its name."""

    description: str = ""
    """For people who choose a model."""
    source: ModelSource
    """Where its weights are."""
    motion_adapter: ModelSource | None = None
    """AnimateDiff's other half, where `source` is a Stable Diffusion model."""
    family: ModelFamily
    """Its kind: which pipeline draws with it."""
    starts: Annotated[tuple[Start, ...], Field(min_length=1)] | None = None
    """What these weights start from. Left out, what most of the family do: Text, and Video where
    there is a pipeline for it; LTX and LTX-2 models take frames as well. Others that do say so:
    Wan 2.1, CogVideoX and HunyuanVideo-1.5 for images `[FirstFrame]`, Wan 2.1 FLF2V
    `[BothFrames]`, Wan 2.2 I2V-A14B `[FirstFrame, BothFrames]`, Wan 2.2 TI2V-5B
    `[Text, FirstFrame, Video]`."""
    defaults: ModelDefaults
    """What a request gets where it names nothing."""
    limits: ModelLimits
    """What it can draw at all."""
    prompt_enhancement: PromptEnhancement = PromptEnhancement.NONE
    """What `enhancePrompt: true` does."""
    resources: ModelResources = ModelResources()
    """What a container that runs it asks for."""
    execution: ModelExecution = ModelExecution()
    """How it is run on a GPU, where free memory is not to decide that alone."""
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

    @model_validator(mode="after")
    def _one_expert_has_one_guidance_scale(self) -> Self:
        second = self.defaults.guidance_scale_2
        if second is not None and not self.family.traits.takes_guidance_scale_2:
            raise ValueError(
                f"defaults.guidanceScale2 is {second}; {self.family} models have no second expert: "
                "leave it out"
            )
        return self

    @model_validator(mode="after")
    def _a_motion_adapter_has_a_base_model(self) -> Self:
        if self.motion_adapter is not None and self.family.traits.base_model is None:
            raise ValueError(f"motionAdapter: {self.family} models have none: leave it out")
        return self

    @model_validator(mode="after")
    def _some_plan_is_left(self) -> Self:
        if not self.plans:
            raise ValueError(
                f"execution.placement is {self.execution.placement}; a model with a motionAdapter, "
                "or on several GPUs, cannot be run so: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _the_family_can_share_its_gpus(self) -> Self:
        gpus = self.resources.gpus
        if gpus > 1 and not self.family.traits.shares_gpus:
            raise ValueError(
                f"resources.gpus is {gpus}; {self.family} models cannot share a video among GPUs: 1"
            )
        return self

    @model_validator(mode="after")
    def _the_family_can_be_run_so(self) -> Self:
        traits, attention = self.family.traits, self.execution.attention
        if attention is not None and attention not in traits.attention:
            fitting = ", ".join(traits.attention)
            raise ValueError(
                f"execution.attention is {attention}; {self.family} models "
                + (f"can have {fitting}" if fitting else "keep their own: leave it out")
            )
        if self.execution.compile and not traits.has_repeated_blocks:
            raise ValueError(
                f"execution.compile: diffusers does not know which blocks of {self.family} models "
                "to compile: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _the_family_can_start_so(self) -> Self:
        known = self.family.traits.starts
        for start in self.starts or ():
            if start not in known:
                raise ValueError(
                    f"starts: {start} is none of what {self.family} models start from: "
                    f"{', '.join(known)}"
                )
        return self

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The memory plans that it may be run by, the best first.

        A UNet that a motion adapter sets in motion is put together at once, and not later. GPUs
        that share a video each have the whole model.
        """
        plans = self.execution.plans
        if self.resources.gpus > 1:
            plans = tuple(
                plan for plan in plans if plan.placement is Placement.ALL_ON_GPU and not plan.fp8
            )
        if self.motion_adapter is None:
            return plans
        return tuple(each for each in plans if each.placement is not Placement.ENCODER_FIRST)

    @property
    def all_starts(self) -> tuple[Start, ...]:
        """What its weights start from."""
        return self.starts or self.family.traits.usual_starts

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
    def images(self) -> tuple[ModelSource, ...]:
        """Those of its sources that are images, each once."""
        both = (self.source, self.motion_adapter)
        return tuple({each.folder: each for each in both if each and each.image}.values())

    @property
    def revision(self) -> str:
        """What names the weights: the hub commit, the folder or the image of each source."""
        return name_all(self.source, self.motion_adapter)

    @property
    def is_pinned(self) -> bool:
        """Whether the revision names the same weights for ever."""
        return all(each.is_pinned for each in (self.source, self.motion_adapter) if each)

    @property
    def index_names(self) -> tuple[str, ...]:
        """What the model_index.json of its source may name as the pipeline."""
        traits = self.family.traits
        if self.motion_adapter and traits.base_model:
            return (traits.base_model,)
        return traits.index_names


class ModelProfile(ModelDescription):
    """One model of the catalogue."""

    id: ModelId
    """What `spec.modelId` says."""

    def problem_with(self, start: Start) -> str:
        """Why it cannot start so, and how it can; empty where it can."""
        if start in self.all_starts:
            return ""
        ways = "; or ".join(each.described for each in self.all_starts)
        return f"model {self.id} ({self.family}) cannot draw {start.described}; it can draw {ways}"

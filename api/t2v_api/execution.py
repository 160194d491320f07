"""How a model is run on a GPU: where its components are, and what else saves memory.

`memory` chooses such a plan; the runner follows it and says in its record how it went.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from t2v_api.attention import Attention
from t2v_api.base import ContractModel

MOST_FALLS, MOST_CHARACTERS = 8, 40
"""Of what ran out of memory for one video, so that a record stays small."""


class Placement(StrEnum):
    """Where the components are while a video is made."""

    ALL_ON_GPU = "AllOnGpu"
    ENCODER_FIRST = "EncoderFirst"
    """All but the denoisers; then, when prompt and init media are encoded and the text encoders
    freed, those."""
    MODEL_OFFLOAD = "ModelOffload"
    """In the host's memory; each comes to the GPU for its turn (enable_model_cpu_offload)."""
    GROUP_OFFLOAD = "GroupOffload"
    """In the host's memory; blocks of the encoders and denoisers come one by one, by streams."""


@dataclass(frozen=True)
class Plan:
    """A placement, and what else saves memory."""

    placement: Placement
    tiling: bool = False
    """The VAE decodes tiles (and an image VAE one frame at a time): seams are blended."""
    fp8: bool = False
    """The denoiser's blocks are stored in 8 bits (layerwise casting): it draws otherwise."""

    def __str__(self) -> str:
        return "+".join((self.placement, *(("Fp8",) * self.fp8), *(("Tiling",) * self.tiling)))


EXACT = tuple(
    Plan(placement)
    for placement in (Placement.ALL_ON_GPU, Placement.ENCODER_FIRST, Placement.MODEL_OFFLOAD)
)
TILED = tuple(Plan(plan.placement, tiling=True) for plan in EXACT[1:])
IN_FP8 = tuple(Plan(plan.placement, plan.tiling, fp8=True) for plan in (*EXACT[1:], *TILED))
STREAMED = (Plan(Placement.GROUP_OFFLOAD), Plan(Placement.GROUP_OFFLOAD, tiling=True))


def ladder(fp8: bool = False) -> tuple[Plan, ...]:
    """The plans, the best first: fast and exact, then tiled, then moved at each step."""
    return (*EXACT, *TILED, *(IN_FP8 if fp8 else ()), *STREAMED)


class ModelExecution(ContractModel):
    """What a model's profile says of its way to run; what it leaves out, free memory decides."""

    placement: Placement | None = None
    """This one alone. Left out: the first that fits of AllOnGpu, EncoderFirst, ModelOffload,
    GroupOffload."""
    tiling: bool | None = None
    """True: the VAE always decodes tiles; false: never. Left out: where it would not fit."""
    fp8: bool = False
    """Whether the denoiser's weights may be kept in 8 bits, where it would not fit otherwise."""
    attention: Attention | None = None
    """The denoiser's attention back end, by diffusers's name. Left out: PyTorch's own."""
    compile: bool = False
    """Whether the denoiser's repeated blocks are compiled (`torch.compile`): the first step takes
    longer, the others less time. It needs a C compiler in the runner's image."""
    checkpoint_every_minutes: Annotated[float, Field(ge=0, le=1440)] | None = None
    """How often what is denoised is kept for another attempt, besides at a stop. 0: never, not even
    then. Left out: what the operator's configuration says (`jobs`)."""

    @property
    def plans(self) -> tuple[Plan, ...]:
        """What is allowed, the best first."""
        if self.placement is None and self.tiling is None:
            return ladder(self.fp8)
        return tuple(
            Plan(placement, tiling, fp8)
            for placement in ((self.placement,) if self.placement else Placement)
            for fp8 in (False, True)[: 1 + self.fp8]
            for tiling in ((False, True) if self.tiling is None else (self.tiling,))
            if not (fp8 and placement is Placement.GROUP_OFFLOAD)
        )


class Execution(ContractModel):
    """How a video was drawn, as the runner's record and the status tell it."""

    device: str = Field(max_length=16)
    """As torch names it: cuda, or cpu."""
    dtype: str = Field(max_length=16)
    """The denoiser's number format."""
    gpus: Annotated[int, Field(ge=2)] | None = None
    """How many GPUs drew it together. Null: it was one, or none."""
    plan: Annotated[str, Field(max_length=32)] | None = None
    """The memory plan that held, such as ModelOffload+Tiling. Null on the CPU, and on several GPUs,
    where there is no choice."""
    expected_bytes: int | None = Field(default=None, ge=0)
    """What that plan was expected to need of the GPU."""
    peak_bytes: int | None = Field(default=None, ge=0)
    """The most that PyTorch had of it."""
    fell_back: tuple[Annotated[str, Field(max_length=MOST_CHARACTERS)], ...] = Field(
        default=(), max_length=MOST_FALLS
    )
    """What ran out of memory on the way, in order: a plan and a stage."""
    attention: Attention | None = None
    """The attention back end that the profile chose. Null: PyTorch's own."""
    compiled: bool = False
    """Whether the denoiser's blocks were compiled."""
    cache: Annotated[str, Field(max_length=64)] | None = None
    """What used answers of earlier steps again, such as FirstBlock(0.04). Null: nothing did."""

"""How large a model is: its components' weights as they are loaded, and the widths that say what
it needs beside them. Knows no file; `t2v_runner.weights` reads a model's folder.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from t2v_api.activations import DECODERS, DENOISERS, HALF
from t2v_api.base import ContractModel, nearest
from t2v_api.encoding import ENCODERS


class Role(StrEnum):
    """What a component does for a video."""

    TEXT_ENCODER = "text encoder"
    DENOISER = "denoiser"
    DECODER = "decoder"
    OTHER = "other"


def role_of(component: str) -> Role:
    """By the name that diffusers pipelines have for it."""
    if component.startswith("text_encoder"):
        return Role.TEXT_ENCODER
    if component in ("transformer", "transformer_2", "unet"):
        return Role.DENOISER
    return Role.DECODER if component == "vae" else Role.OTHER


def _known_denoiser(name: str) -> str:
    if name not in DENOISERS:
        raise ValueError(f"{name!r} is no denoiser whose memory is known{nearest(name, DENOISERS)}")
    return name


def _known_decoder(name: str) -> str:
    if name not in DECODERS:
        raise ValueError(f"{name!r} is no VAE whose memory is known{nearest(name, DECODERS)}")
    return name


def _known_encoder(name: str) -> str:
    if name not in ENCODERS:
        raise ValueError(
            f"{name!r} is no VAE whose memory for init media is known{nearest(name, ENCODERS)}"
        )
    return name


class ComponentSize(ContractModel):
    """One component's weights, in the precision that they are loaded in."""

    weights: int = Field(ge=0)
    """Bytes."""
    largest_block: int | None = Field(default=None, ge=0)
    """Bytes of its largest block, where it can be moved to the GPU block by block."""
    next_block: int | None = Field(default=None, ge=0)
    """Bytes of the largest of its other blocks. Left out: as large."""
    outside_blocks: int = Field(default=0, ge=0)
    """Bytes of the weights that then stay on the GPU."""

    @property
    def streamed(self) -> int:
        """Bytes on the GPU while it is moved block by block: one computes, the next arrives."""
        if self.largest_block is None:
            return self.weights
        arriving = self.largest_block if self.next_block is None else self.next_block
        return min(self.weights, self.outside_blocks + self.largest_block + arriving)

    def in_fp8(self) -> Self:
        """The same with its blocks stored in 8 bits, and one block at a time widened to 16."""
        if self.largest_block is None:
            return self
        blocks = self.weights - self.outside_blocks
        widened = self.weights - blocks // 2 + self.largest_block
        return self.model_copy(update={"weights": min(self.weights, widened)})


class DenoiserShape(ContractModel):
    """What the denoiser's activations hang on."""

    kind: Annotated[str, AfterValidator(_known_denoiser)]
    """Its class in diffusers."""
    hidden: int = Field(ge=1)
    """Width of its hidden states."""
    feed_forward: int = Field(ge=1)
    """Inner width of its feed-forward layers."""
    pixels: int = Field(ge=1)
    """A token's side in pixels."""
    frames: int = Field(ge=1)
    """A token's frames."""

    def tokens(self, width: int, height: int, num_frames: int) -> int:
        """Of a video."""
        rows, columns = -(-height // self.pixels), -(-width // self.pixels)
        return rows * columns * ((num_frames - 1) // self.frames + 1)


class DecoderShape(ContractModel):
    """What decoding hangs on."""

    kind: Annotated[str, AfterValidator(_known_decoder)]
    """Its class in diffusers, or "AutoencoderKLWan, residual" for that of Wan 2.2."""
    channels: int = Field(ge=1)
    """Its width at full resolution."""
    number_bytes: int = Field(default=HALF, ge=1)
    """Of the format that it decodes in."""


class EncoderShape(ContractModel):
    """What encoding init media hangs on."""

    kind: Annotated[str, AfterValidator(_known_encoder)]
    """The VAE's class, as a decoder's `kind`."""
    channels: int = Field(ge=1)
    """The encoder's width at full resolution."""
    number_bytes: int = Field(default=HALF, ge=1)
    """Of the format that it encodes in: some are widened for that."""


class ModelSizes(ContractModel):
    """`python -m t2v_runner.weights FOLDER` writes it for a model's folder."""

    components: dict[str, ComponentSize] = Field(min_length=1)
    """By their names in model_index.json."""
    denoiser: DenoiserShape
    decoder: DecoderShape
    encoder: EncoderShape | None = None
    """Left out: it is given no init media."""
    download: int | None = Field(default=None, ge=0)
    """Bytes of the files that a Job downloads."""

    @model_validator(mode="after")
    def _has_a_denoiser(self) -> Self:
        if not self.of(Role.DENOISER):
            raise ValueError("components: none is named transformer, transformer_2 or unet")
        return self

    def of(self, role: Role) -> list[ComponentSize]:
        """The components with that role."""
        return [size for name, size in self.components.items() if role_of(name) is role]

    @property
    def weights(self) -> int:
        """Bytes of all of them."""
        return sum(size.weights for size in self.components.values())

"""What a model needs beside its weights while it denoises and decodes: bytes, by its architecture.

Denoiser: every token has so many tensors of the hidden width alive at once, attention makes no
matrix of tokens by tokens, and the feed-forward's inner width counts for itself where it is no
fixed multiple of the hidden one. Decoder: the widest layer's feature maps at full resolution.
The counts are measured on the very classes by benchmarks/memory_formula.py, and bound what it
measures from above; docs/design/memory-plans.md says how.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HALF = 2
"""Bytes of a number in bfloat16 or float16, in which denoisers are loaded on a GPU."""
SINGLE = 4


@dataclass(frozen=True)
class DenoiserLaw:
    """Of one class of denoisers."""

    hidden: float
    """Tensors of the hidden width that are alive at once, for each token."""
    is_batched: bool
    """Its pipeline asks with and without the prompt at once."""
    feed_forward: tuple[float, float] | None = None
    """The same at the moment of the feed-forward: of the hidden and of the inner width."""
    other_tokens: int = 0
    """Tokens of the prompt, or of the sound, that go the same way."""
    pair_bytes: int = 0
    """For each pair of tokens: the mask that this class makes."""

    def bytes_for(self, tokens: int, hidden: int, feed_forward: int, is_guided: bool) -> int:
        """The most that is alive in a call of the denoiser, in half precision."""
        rows = tokens + self.other_tokens
        numbers = self.hidden * hidden
        if self.feed_forward:
            of_hidden, of_inner = self.feed_forward
            numbers = max(numbers, of_hidden * hidden + of_inner * feed_forward)
        each = rows * numbers * HALF + rows**2 * self.pair_bytes
        return int(each * (2 if is_guided and self.is_batched else 1))


@dataclass(frozen=True)
class DecoderLaw:
    """Of one class of VAEs. Feature maps are counted in channels of the configured width."""

    spatial: int
    """Pixels of a latent pixel's side."""
    temporal: int
    """Frames of a latent frame."""
    once: float = 0
    """Feature maps at full resolution, for any number of frames: it decodes a few at a time."""
    each_frame: float = 0
    """The same for each frame: it decodes all of them together."""
    tile: tuple[int, int] = (256, 256)
    """Pixels of a tile, where tiling is on."""
    frames_at_once: int | None = None
    """Frames of one call, where the pipeline calls it with a few images at a time."""

    def bytes_for(
        self, width: int, height: int, frames: int, channels: int, number_bytes: int, is_tiled: bool
    ) -> int:
        """The most that is alive in decoding, with the video that comes out."""
        video = width * height * frames * number_bytes
        feature_map = channels * number_bytes
        if not is_tiled:
            return int(self._feature_maps(width * height, frames) * feature_map + 4.2 * video)
        tile_width, tile_height = self.tile
        pixels = min(width, tile_width) * min(height, tile_height)
        # Tiles overlap; they are kept until all are there, then put together in copies.
        maps = self._feature_maps(pixels, 1 if self.frames_at_once else frames) * feature_map
        return int(max(maps + 5.4 * video, 14.5 * video))

    def _feature_maps(self, pixels: int, frames: int) -> float:
        # Mochi decodes whole latent frames and drops what was not asked for.
        decoded = ((frames - 1) // self.temporal + 1) * self.temporal
        at_once = min(decoded, self.frames_at_once or decoded)
        return pixels * (self.once + self.each_frame * at_once)


DENOISERS: Mapping[str, DenoiserLaw] = {
    "CogVideoXTransformer3DModel": DenoiserLaw(13.3, is_batched=True, other_tokens=226),
    "HunyuanVideo15Transformer3DModel": DenoiserLaw(
        # Two masks of one byte, and the one in half precision that torch makes of them.
        13.0,
        is_batched=False,
        other_tokens=1985,
        pair_bytes=4,
    ),
    "HunyuanVideoTransformer3DModel": DenoiserLaw(18.8, is_batched=False, other_tokens=256),
    "LTX2VideoTransformer3DModel": DenoiserLaw(18.4, is_batched=True, other_tokens=400),
    "LTXVideoTransformer3DModel": DenoiserLaw(16.7, is_batched=True),
    "LatteTransformer3DModel": DenoiserLaw(13.4, is_batched=True, other_tokens=200),
    "MochiTransformer3DModel": DenoiserLaw(17.4, is_batched=True, other_tokens=700),
    "UNet3DConditionModel": DenoiserLaw(35.5, is_batched=True),
    "UNetMotionModel": DenoiserLaw(27.0, is_batched=True),
    "WanTransformer3DModel": DenoiserLaw(11.3, is_batched=False, feed_forward=(4.6, 2)),
}

RESIDUAL_WAN = "AutoencoderKLWan, residual"
"""Wan 2.2's VAE: the same class, another decoder, which paints patches of 2x2 pixels."""
ALL_IMAGES = "AutoencoderKL, all frames"
"""TextToVideoSDPipeline's: an image VAE that gets every frame in one call."""
DECODERS: Mapping[str, DecoderLaw] = {
    "AutoencoderKL": DecoderLaw(8, 1, each_frame=3.05, tile=(512, 512), frames_at_once=16),
    ALL_IMAGES: DecoderLaw(8, 1, each_frame=3.05, tile=(512, 512), frames_at_once=1024),
    "AutoencoderKLCogVideoX": DecoderLaw(8, 4, once=180, tile=(360, 240)),
    "AutoencoderKLHunyuanVideo": DecoderLaw(8, 4, once=154),
    "AutoencoderKLHunyuanVideo15": DecoderLaw(16, 4, each_frame=7.1),
    "AutoencoderKLLTX2Video": DecoderLaw(32, 8, each_frame=0.345, tile=(512, 512)),
    "AutoencoderKLLTXVideo": DecoderLaw(32, 8, each_frame=0.4, tile=(512, 512)),
    "AutoencoderKLMochi": DecoderLaw(8, 6, each_frame=7.0),
    "AutoencoderKLWan": DecoderLaw(8, 4, once=53),
    RESIDUAL_WAN: DecoderLaw(16, 4, once=21.2),
}


def decoder_kind(name: str, config: Mapping[str, Any], denoiser: str) -> str:
    """Which law a VAE of class `name` keeps, beside a denoiser of that class."""
    if config.get("is_residual"):
        return RESIDUAL_WAN
    is_all_at_once = (name, denoiser) == ("AutoencoderKL", "UNet3DConditionModel")
    return ALL_IMAGES if is_all_at_once else name


def decoder_channels(kind: str, config: Mapping[str, Any]) -> int:
    """The width that the law counts in."""
    match kind:
        case "AutoencoderKLWan" | "AutoencoderKLWan, residual":
            return int(config.get("decoder_base_dim") or config["base_dim"])
        case "AutoencoderKLLTXVideo" | "AutoencoderKLLTX2Video":
            return int(config["decoder_block_out_channels"][0] // config["upsample_factor"][0])
        case "AutoencoderKLMochi":
            return int(config["decoder_block_out_channels"][0])
        case "AutoencoderKL" | "AutoencoderKL, all frames":
            return int(config["block_out_channels"][:2][-1])
    return int(config["block_out_channels"][0])


def denoiser_widths(name: str, config: Mapping[str, Any]) -> tuple[int, int]:
    """The hidden width and the feed-forward's inner one."""
    if name.startswith("UNet"):
        hidden = int(config["block_out_channels"][0])
    else:
        hidden = int(config["num_attention_heads"] * config["attention_head_dim"])
    return hidden, int(config.get("ffn_dim") or 4 * hidden)


def patch(config: Mapping[str, Any]) -> tuple[int, int]:
    """Latent pixels of a token's side, and its latent frames."""
    size = config.get("patch_size") or 1
    if isinstance(size, (list, tuple)):
        return int(size[-1]), int(size[0])
    return int(size), int(config.get("patch_size_t") or 1)

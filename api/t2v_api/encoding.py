"""What a VAE needs beside its weights while it encodes init media: bytes, by its architecture.

Counted in feature maps at full resolution, of the encoder's configured width. The counts are
measured on the very classes by benchmarks/memory_formula.py, as those of `activations` are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from t2v_api.activations import ALL_IMAGES, RESIDUAL_WAN, SINGLE


@dataclass(frozen=True)
class EncoderLaw:
    """Of one class of VAEs."""

    each_frame: float
    """Feature maps for each frame of one call of the encoder."""
    once: float = 0
    """The same for any number of frames: what is put before the first."""
    frames_at_once: int | None = None
    """Frames of one call, where it takes a few at a time."""
    videos: float = 3.3
    """Numbers of each pixel of the frames that are kept: they themselves, and what comes out."""
    tile: tuple[int, int] = (256, 256)
    """Pixels of a tile, where tiling is on."""
    takes_images: bool = False
    """An image VAE, which takes one frame at a time where tiling is on."""
    fills_up: bool = False
    """An image is encoded as a whole video that is grey from there on."""

    def bytes_for(
        self, width: int, height: int, frames: int, channels: int, number_bytes: int, is_tiled: bool
    ) -> int:
        """The most that is alive, with the frames and what comes out."""
        video = width * height * frames * number_bytes * self.videos
        at_once = min(frames, self.frames_at_once or frames)
        pixels = width * height
        if is_tiled:
            at_once = 1 if self.takes_images else at_once
            pixels = min(width, self.tile[0]) * min(height, self.tile[1])
        maps = pixels * channels * number_bytes * (self.once + self.each_frame * at_once)
        return int(maps + video)


ENCODERS: Mapping[str, EncoderLaw] = {
    "AutoencoderKL": EncoderLaw(5.05, frames_at_once=16, tile=(512, 512), takes_images=True),
    ALL_IMAGES: EncoderLaw(5.05, tile=(512, 512), takes_images=True),
    "AutoencoderKLCogVideoX": EncoderLaw(6.8, once=14.2, frames_at_once=9, tile=(360, 240)),
    "AutoencoderKLHunyuanVideo15": EncoderLaw(7.05),
    "AutoencoderKLLTX2Video": EncoderLaw(0.16, once=0.19, tile=(512, 512)),
    "AutoencoderKLLTXVideo": EncoderLaw(0.44, once=0.25, tile=(512, 512)),
    "AutoencoderKLWan": EncoderLaw(9.0, once=1.2, frames_at_once=4, fills_up=True),
    RESIDUAL_WAN: EncoderLaw(
        # Its tiles are of 256 patches of 2x2 pixels, a copy of the frames.
        2.75,
        once=0.35,
        frames_at_once=4,
        videos=6.3,
        tile=(512, 512),
    ),
}
"""By the kinds of `activations.DECODERS`; those that start from nothing but noise are left out."""


def encoder_channels(config: Mapping[str, Any]) -> int:
    """The width that the law counts in, by the VAE's configuration."""
    return int(config.get("base_dim") or config["block_out_channels"][0])


def encoding_number_bytes(kind: str, config: Mapping[str, Any], number_bytes: int) -> int:
    """Bytes of a number in the format that it encodes in; `number_bytes`: that it is loaded in.

    Wan's adapter widens its VAE, AnimateDiffVideoToVideoPipeline one whose configuration says so.
    """
    is_wan = kind in ("AutoencoderKLWan", RESIDUAL_WAN)
    is_upcast = kind == "AutoencoderKL" and config.get("force_upcast", True)
    return SINGLE if is_wan or is_upcast else number_bytes

"""The diffusers pipelines that a model can belong to, and what sets them apart."""

from dataclasses import dataclass
from enum import StrEnum

from t2v_api.grid import Grid


class Prediction(StrEnum):
    """What the denoiser predicts, as far as the choice of a scheduler goes."""

    NOISE = "noise"
    """ε or v on a discrete beta schedule (DDPM and its kin)."""
    FLOW = "flow"
    """Flow matching."""


IMAGES = Grid()
"""Of families that draw frames like images."""


@dataclass(frozen=True)
class Traits:
    """What the operator must know of a family without loading it."""

    text_to_video: str
    """The diffusers pipeline class."""
    video_to_video: str | None
    """Its sibling that takes `video` and `strength`; None where there is none."""
    prediction: Prediction
    grid: Grid = IMAGES
    """The sizes and numbers of frames that its pipelines can draw."""
    least_steps: int = 1
    """The pipeline's own schedule needs that many inference steps."""


class ModelFamily(StrEnum):
    """A family of diffusers pipelines."""

    ANIMATEDIFF = "AnimateDiff"
    COGVIDEOX = "CogVideoX"
    WAN = "Wan"
    LTX = "LTX"
    HUNYUAN_VIDEO = "HunyuanVideo"
    MOCHI = "Mochi"
    LATTE = "Latte"
    TEXT_TO_VIDEO_SD = "TextToVideoSD"

    @property
    def traits(self) -> Traits:
        """What sets this family apart."""
        return _TRAITS[self]


_TRAITS = {
    ModelFamily.ANIMATEDIFF: Traits(
        "AnimateDiffPipeline", "AnimateDiffVideoToVideoPipeline", Prediction.NOISE
    ),
    ModelFamily.COGVIDEOX: Traits(
        "CogVideoXPipeline",
        "CogVideoXVideoToVideoPipeline",
        Prediction.NOISE,
        # Not 4n+1: from an even number of latent frames its VAE decodes other numbers.
        Grid(16, frames=8, offset=1),
    ),
    ModelFamily.WAN: Traits(
        "WanPipeline", "WanVideoToVideoPipeline", Prediction.FLOW, Grid(16, frames=4, offset=1)
    ),
    ModelFamily.LTX: Traits(
        "LTXPipeline", "LTXConditionPipeline", Prediction.FLOW, Grid(32, frames=8, offset=1)
    ),
    ModelFamily.HUNYUAN_VIDEO: Traits(
        "HunyuanVideoPipeline", None, Prediction.FLOW, Grid(16, frames=4, offset=1)
    ),
    ModelFamily.MOCHI: Traits(
        "MochiPipeline", None, Prediction.FLOW, Grid(16, frames=6, offset=1), least_steps=2
    ),
    ModelFamily.LATTE: Traits("LattePipeline", None, Prediction.NOISE, Grid(16)),
    ModelFamily.TEXT_TO_VIDEO_SD: Traits(
        "TextToVideoSDPipeline", "VideoToVideoSDPipeline", Prediction.NOISE
    ),
}

"""The diffusers pipelines that a model can belong to, and what sets them apart."""

from dataclasses import dataclass
from enum import StrEnum

from t2v_api.attention import (
    WITH_TOKENS_MASKED,
    WITH_WEIGHTS,
    WITHOUT_MASKS,
    Attention,
)
from t2v_api.grid import Grid
from t2v_api.start import Start


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
    """The one that starts from a video; None where there is none."""
    prediction: Prediction
    prompt_tokens: int
    """How many tokens of a prompt the text encoder is given, with those that frame it."""
    grid: Grid = IMAGES
    """The sizes and numbers of frames that its pipelines can draw."""
    least_steps: int = 1
    """The pipeline's own schedule needs that many inference steps."""
    also_named: tuple[str, ...] = ()
    """Other classes that the model_index.json of such a model may name: they have its parts."""
    base_model: str | None = None
    """What the model_index.json of a model names that is set in motion by a motion adapter."""
    takes_fps: bool = False
    """Whether it draws other motion for another frame rate; else the same is played faster."""
    takes_guidance_scale_2: bool = False
    """Whether some of its models have a second expert, with a guidance scale of its own."""
    image_to_video: str | None = None
    """The pipeline that is given frames of the video; None where there is none."""
    frames_given: tuple[Start, ...] = ()
    """Which frames that may be, with one model or another."""
    is_one_for_all: bool = False
    """Whether every model takes those frames; else a profile's `starts` say so."""
    shares_gpus: bool = False
    """Whether several GPUs of one pod can draw a video together (context parallelism)."""
    takes_loras: bool = True
    """Whether diffusers can add LoRAs to its denoiser."""
    has_cache: bool = False
    """Whether its denoiser can use answers of earlier steps again, for a `speed` above Exact."""
    attention: tuple[Attention, ...] = ()
    """The back ends that fit its masks; none where diffusers cannot set one."""
    has_repeated_blocks: bool = False
    """Whether diffusers knows which blocks of its denoiser are compiled (`_repeated_blocks`)."""

    @property
    def index_names(self) -> tuple[str, ...]:
        """What a model_index.json may name as its pipeline."""
        return (self.text_to_video, *self.also_named)

    @property
    def starts(self) -> tuple[Start, ...]:
        """What models of the family start from, all of them together."""
        video = (Start.VIDEO,) if self.video_to_video else ()
        return (Start.TEXT, *self.frames_given, *video)

    @property
    def usual_starts(self) -> tuple[Start, ...]:
        """What a model starts from unless its profile says otherwise."""
        not_all = () if self.is_one_for_all else self.frames_given
        return tuple(start for start in self.starts if start not in not_all)

    def pipeline_for(self, start: Start) -> str | None:
        """The diffusers class; None where no model of the family starts so."""
        others = {Start.TEXT: self.text_to_video, Start.VIDEO: self.video_to_video}
        return others.get(start, self.image_to_video)


class ModelFamily(StrEnum):
    """A family of diffusers pipelines."""

    ANIMATEDIFF = "AnimateDiff"
    COGVIDEOX = "CogVideoX"
    WAN = "Wan"
    LTX = "LTX"
    LTX2 = "LTX2"
    HUNYUAN_VIDEO = "HunyuanVideo"
    HUNYUAN_VIDEO_15 = "HunyuanVideo15"
    MOCHI = "Mochi"
    LATTE = "Latte"
    TEXT_TO_VIDEO_SD = "TextToVideoSD"

    @property
    def traits(self) -> Traits:
        """What sets this family apart."""
        return _TRAITS[self]


_TRAITS = {
    ModelFamily.ANIMATEDIFF: Traits(
        "AnimateDiffPipeline",
        "AnimateDiffVideoToVideoPipeline",
        Prediction.NOISE,
        prompt_tokens=77,
        base_model="StableDiffusionPipeline",
    ),
    ModelFamily.COGVIDEOX: Traits(
        "CogVideoXPipeline",
        "CogVideoXVideoToVideoPipeline",
        Prediction.NOISE,
        prompt_tokens=226,
        # Not 4n+1: from an even number of latent frames its VAE decodes other numbers.
        grid=Grid(16, frames=8, offset=1),
        also_named=("CogVideoXImageToVideoPipeline",),
        image_to_video="CogVideoXImageToVideoPipeline",
        frames_given=(Start.FIRST_FRAME,),
        has_cache=True,
    ),
    ModelFamily.WAN: Traits(
        "WanPipeline",
        "WanPipeline",
        Prediction.FLOW,
        prompt_tokens=512,
        grid=Grid(16, frames=4, offset=1),
        also_named=("WanImageToVideoPipeline",),
        takes_guidance_scale_2=True,
        image_to_video="WanImageToVideoPipeline",
        frames_given=(Start.FIRST_FRAME, Start.BOTH_FRAMES),
        shares_gpus=True,
        has_cache=True,
        attention=WITHOUT_MASKS,
        has_repeated_blocks=True,
    ),
    ModelFamily.LTX: Traits(
        "LTXPipeline",
        "LTXConditionPipeline",
        Prediction.FLOW,
        prompt_tokens=128,
        grid=Grid(32, frames=8, offset=1),
        also_named=("LTXConditionPipeline", "LTXImageToVideoPipeline"),
        takes_fps=True,
        image_to_video="LTXConditionPipeline",
        frames_given=(Start.FIRST_FRAME, Start.LAST_FRAME, Start.BOTH_FRAMES),
        is_one_for_all=True,
        shares_gpus=True,
        has_cache=True,
        attention=WITH_WEIGHTS,
        has_repeated_blocks=True,
    ),
    ModelFamily.LTX2: Traits(
        "LTX2Pipeline",
        "LTX2ConditionPipeline",
        Prediction.FLOW,
        prompt_tokens=1024,
        grid=Grid(32, frames=8, offset=1),
        also_named=("LTX2ConditionPipeline", "LTX2ImageToVideoPipeline"),
        takes_fps=True,
        image_to_video="LTX2ConditionPipeline",
        frames_given=(Start.FIRST_FRAME, Start.LAST_FRAME, Start.BOTH_FRAMES),
        is_one_for_all=True,
        shares_gpus=True,
        has_cache=True,
        attention=WITH_WEIGHTS,
        has_repeated_blocks=True,
    ),
    ModelFamily.HUNYUAN_VIDEO: Traits(
        "HunyuanVideoPipeline",
        None,
        Prediction.FLOW,
        prompt_tokens=256,
        grid=Grid(16, frames=4, offset=1),
        has_cache=True,
        attention=WITH_TOKENS_MASKED,
        has_repeated_blocks=True,
    ),
    ModelFamily.HUNYUAN_VIDEO_15: Traits(
        "HunyuanVideo15Pipeline",
        None,
        Prediction.FLOW,
        prompt_tokens=1000,
        grid=Grid(16, frames=4, offset=1),
        also_named=("HunyuanVideo15ImageToVideoPipeline",),
        image_to_video="HunyuanVideo15ImageToVideoPipeline",
        frames_given=(Start.FIRST_FRAME,),
        takes_loras=False,
        has_cache=True,
        attention=WITH_TOKENS_MASKED,
        has_repeated_blocks=True,
    ),
    ModelFamily.MOCHI: Traits(
        "MochiPipeline",
        None,
        Prediction.FLOW,
        prompt_tokens=256,
        grid=Grid(16, frames=6, offset=1),
        least_steps=2,
        has_cache=True,
    ),
    ModelFamily.LATTE: Traits(
        "LattePipeline",
        None,
        Prediction.NOISE,
        prompt_tokens=120,
        grid=Grid(16),
        takes_loras=False,
    ),
    ModelFamily.TEXT_TO_VIDEO_SD: Traits(
        "TextToVideoSDPipeline",
        "VideoToVideoSDPipeline",
        Prediction.NOISE,
        prompt_tokens=77,
        takes_loras=False,
    ),
}

"""CogVideoX, 1 and 1.5."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.speed import Speed
from t2v_api.start import Start

from t2v_runner.errors import RequestRefused
from t2v_runner.families.base import Adapter, no_bfloat16, read_config
from t2v_runner.families.step_cache import FirstBlock, StepCache

if TYPE_CHECKING:
    import torch


class CogVideoX(Adapter):
    """The model of 2b was trained in float16, the larger ones in bfloat16."""

    family = ModelFamily.COGVIDEOX

    def dtypes(self, folder: Path, dtype: "torch.dtype") -> "dict[str, torch.dtype]":
        transformer = read_config(folder / "transformer" / "config.json")
        # 2b alone has none, and the class's default is none.
        is_2b = not transformer.get("use_rotary_positional_embeddings", False)
        return {"default": no_bfloat16(dtype) if is_2b else dtype}

    def starts(self, folder: Path) -> tuple[Start, ...]:
        transformer = read_config(folder / "transformer" / "config.json")
        is_given_an_image = transformer["in_channels"] > transformer["out_channels"]
        return (Start.FIRST_FRAME,) if is_given_an_image else (Start.TEXT, Start.VIDEO)

    def from_images(
        self, pipeline: Any, request: GenerationRequest, images: list[Any]
    ) -> dict[str, Any]:
        _check_size(pipeline, request)
        return super().from_images(pipeline, request, images)

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        """ParaAttention's default for it, and more: ours."""
        return {Speed.BALANCED: FirstBlock(0.025), Speed.FAST: FirstBlock(0.04)}


def _check_size(pipeline: Any, request: GenerationRequest) -> None:
    """5b-I2V has learned where things are, in one size alone."""
    config, pixels = pipeline.transformer.config, pipeline.vae_scale_factor_spatial
    own = (config.sample_width * pixels, config.sample_height * pixels)
    if config.use_learned_positional_embeddings and (request.width, request.height) != own:
        raise RequestRefused(
            f"the size is {request.width}x{request.height}; this model draws {own[0]}x{own[1]} "
            "alone: ask for that"
        )

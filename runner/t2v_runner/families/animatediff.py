"""AnimateDiff: Stable Diffusion 1.5 with a motion adapter, as one model or from two sources."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily

from t2v_runner.families.base import Adapter, no_bfloat16

if TYPE_CHECKING:
    import torch


LEFT_OUT = ("safety_checker", "feature_extractor")
"""What of a Stable Diffusion model no video needs."""


class AnimateDiff(Adapter):
    """Its weights were trained and published in float16."""

    family = ModelFamily.ANIMATEDIFF

    def dtypes(self, folder: Path, dtype: "torch.dtype") -> "dict[str, torch.dtype]":
        return {"default": no_bfloat16(dtype)}


def set_in_motion(
    base: Path, motion_adapter: Path, dtypes: "dict[str, torch.dtype]", device: str
) -> Any:
    """The pipeline of a Stable Diffusion model whose frames a motion adapter connects.

    The adapters were trained with betas of a linear schedule, whatever the base model's is.
    """
    import diffusers

    loading = {"device_map": device, "use_safetensors": True, "local_files_only": True}
    motion = diffusers.MotionAdapter.from_pretrained(
        str(motion_adapter), dtype=dtypes["default"], **loading
    )
    pipeline = diffusers.AnimateDiffPipeline.from_pretrained(
        str(base), motion_adapter=motion, feature_extractor=None, dtype=dtypes, **loading
    )
    scheduler = pipeline.scheduler
    pipeline.scheduler = type(scheduler).from_config(scheduler.config, beta_schedule="linear")
    return pipeline

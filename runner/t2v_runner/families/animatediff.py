"""AnimateDiff: Stable Diffusion 1.5 with a motion adapter."""

from pathlib import Path
from typing import TYPE_CHECKING

from t2v_api.family import ModelFamily

from t2v_runner.families.base import Adapter, no_bfloat16

if TYPE_CHECKING:
    import torch


class AnimateDiff(Adapter):
    """Its weights were trained and published in float16."""

    family = ModelFamily.ANIMATEDIFF

    def dtypes(self, folder: Path, dtype: "torch.dtype") -> "dict[str, torch.dtype]":
        return {"default": no_bfloat16(dtype)}

"""CogVideoX, 1 and 1.5."""

from pathlib import Path
from typing import TYPE_CHECKING

from t2v_api.family import ModelFamily

from t2v_runner.families.base import Adapter, no_bfloat16, read_config

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

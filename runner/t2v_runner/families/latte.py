"""Latte."""

from typing import Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest

from t2v_runner.families.base import Adapter, size, words


class Latte(Adapter):
    """It has its own word for the number of frames, and cleans prompts before it counts them."""

    family = ModelFamily.LATTE

    def from_text(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        return words(request) | size(request) | {"video_length": request.num_frames}

    def count_tokens(self, pipeline: Any, text: str) -> int:
        (cleaned,) = pipeline._text_preprocessing(text, clean_caption=True)
        return super().count_tokens(pipeline, cleaned)

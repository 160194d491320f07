"""HunyuanVideo-1.5."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.speed import Speed

from t2v_runner.families.base import Adapter
from t2v_runner.families.reversible import replaced
from t2v_runner.families.step_cache import StepCache, TaylorSeer

if TYPE_CHECKING:
    import torch

    from t2v_runner.families.base import Frames


NEITHER_HAS = "guidanceScale and negativePrompt have"


class HunyuanVideo15(Adapter):
    """It is guided by a component, the guider; that of a distilled model is saved without guidance.

    Of its two encoders Qwen reads the prompt, ByT5 the words in quotation marks: they are to be
    written in the video.
    """

    family = ModelFamily.HUNYUAN_VIDEO_15

    def from_text(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        arguments = super().from_text(pipeline, request)
        del arguments["guidance_scale"]  # the guider's
        return arguments

    @contextmanager
    def prepared(
        self,
        loaded: Any,
        request: GenerationRequest,
        init_frames: "Frames | None",
        generator: "torch.Generator",
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        scale = request.guidance_scale if _is_guided(loaded) else 1.0
        # A new one: a guider keeps the step that it was at.
        guider = loaded.guider.new(guidance_scale=scale)
        with (
            replaced(loaded, "guider", guider),
            super().prepared(loaded, request, init_frames, generator) as call,
        ):
            yield call

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        """The interval of its authors' own caches, and half of it. Diffusers's First Block Cache
        does not know its blocks."""
        return {Speed.BALANCED: TaylorSeer(2), Speed.FAST: TaylorSeer(4)}

    def notices(self, pipeline: Any, request: GenerationRequest) -> list[str]:
        said = super().notices(pipeline, request)
        if pipeline.guider.guidance_scale != request.guidance_scale:
            what = "guidanceScale has" if not request.negative_prompt else NEITHER_HAS
            said.append(f"{what} no effect: guidance is distilled into this model")
        count, most = _quoted_tokens(pipeline, request.prompt), pipeline.tokenizer_2_max_length
        if count > most:
            said.append(f"words in quotation marks have {count} tokens; {most} of them are read")
        return said


def _quoted_tokens(pipeline: Any, prompt: str) -> int:
    """How many tokens the second encoder would read of the prompt."""
    from diffusers.pipelines.hunyuan_video1_5.pipeline_hunyuan_video1_5 import extract_glyph_texts

    quoted = extract_glyph_texts(prompt)
    return len(pipeline.tokenizer_2(quoted).input_ids) if quoted else 0


def _is_guided(pipeline: Any) -> bool:
    config = pipeline.guider.config
    return bool(config.enabled) and config.guidance_scale != 1

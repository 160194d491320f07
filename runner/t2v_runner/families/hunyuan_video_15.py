"""HunyuanVideo-1.5."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.speed import Speed
from t2v_api.start import Start

from t2v_runner.families.base import Adapter, read_config
from t2v_runner.families.reversible import replaced, wrapped
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

    def starts(self, folder: Path) -> tuple[Start, ...]:
        """All weights have room for an image; which were trained with one stands beside them."""
        transformer = read_config(folder / "transformer" / "config.json")
        return (Start.FIRST_FRAME,) if transformer["task_type"] == "i2v" else (Start.TEXT,)

    def from_text(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        arguments = super().from_text(pipeline, request)
        del arguments["guidance_scale"]  # the guider's
        return arguments

    def from_images(
        self, pipeline: Any, request: GenerationRequest, images: list[Any]
    ) -> dict[str, Any]:
        arguments = super().from_images(pipeline, request, images)
        del arguments["width"], arguments["height"]  # the image's
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
        with ExitStack() as changes:
            changes.enter_context(replaced(loaded, "guider", guider))
            pipeline, arguments = changes.enter_context(
                super().prepared(loaded, request, init_frames, generator)
            )
            changes.enter_context(_drawn_in_the_size_of_its_image(pipeline))
            yield pipeline, arguments

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


@contextmanager
def _drawn_in_the_size_of_its_image(pipeline: Any) -> Iterator[None]:
    """Not in one of the pipeline's own that is like it. The image has the request's size."""

    def size(_: Any, *, height: int, width: int, target_size: int) -> tuple[int, int]:
        return height, width

    with wrapped(pipeline.video_processor, "calculate_default_height_width", size):
        yield


def _quoted_tokens(pipeline: Any, prompt: str) -> int:
    """How many tokens the second encoder would read of the prompt."""
    from diffusers.pipelines.hunyuan_video1_5.pipeline_hunyuan_video1_5 import extract_glyph_texts

    quoted = extract_glyph_texts(prompt)
    return len(pipeline.tokenizer_2(quoted).input_ids) if quoted else 0


def _is_guided(pipeline: Any) -> bool:
    config = pipeline.guider.config
    return bool(config.enabled) and config.guidance_scale != 1

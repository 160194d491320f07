"""HunyuanVideo."""

from typing import Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.speed import Speed

from t2v_runner.families.base import Adapter
from t2v_runner.families.step_cache import FirstBlock, StepCache


class HunyuanVideo(Adapter):
    """Its guidance is distilled into the model, which is told the scale.

    With a negative prompt it is guided by that instead, and the model is told not to be. Of its two
    encoders the first reads the prompt; the second, CLIP, sums up the first 77 tokens of it.
    """

    family = ModelFamily.HUNYUAN_VIDEO

    def from_text(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        arguments = super().from_text(pipeline, request)
        if request.negative_prompt:
            arguments |= {"true_cfg_scale": request.guidance_scale, "guidance_scale": 1.0}
        return arguments

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        """ParaAttention's defaults for it: its first, and that of its guide to HunyuanVideo."""
        return {Speed.BALANCED: FirstBlock(0.025), Speed.FAST: FirstBlock(0.06)}

    def count_tokens(self, pipeline: Any, text: str) -> int:
        """Without the template that the pipeline puts around it."""
        from diffusers.pipelines.hunyuan_video import pipeline_hunyuan_video as source

        template = source.DEFAULT_PROMPT_TEMPLATE
        whole = super().count_tokens(pipeline, template["template"].format(text))
        return int(whole - template["crop_start"])

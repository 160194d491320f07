"""LTX-Video."""

from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.speed import Speed
from t2v_api.start import Start

from t2v_runner.families.base import Adapter, as_pixels, size, strength_of, words
from t2v_runner.families.step_cache import FirstBlock, StepCache

if TYPE_CHECKING:
    from t2v_runner.families.base import Frames

CONDITION = "LTXConditionPipeline"
FIRST_FRAME = "LTXImageToVideoPipeline"
CONDITION_TOKENS = 256
"""What that pipeline reads of a prompt."""
DECODING = {"decode_timestep": 0.05, "decode_noise_scale": 0.025}
"""Of decoders that denoise once more: the values of the models' own documentation."""


class LTX(Adapter):
    """From media by LTXConditionPipeline, whose name the index of 0.9.7 has too.

    Such a model is made for that pipeline's timesteps, so it draws from text by it as well, where
    the scheduler is the one that takes them. The oldest models count the time to their first frame
    otherwise, and go on from it by LTXImageToVideoPipeline.
    """

    family = ModelFamily.LTX

    def class_name(self, loaded: Any, request: GenerationRequest) -> str:
        is_its_own = type(loaded).__name__ == CONDITION
        if is_its_own and request.scheduler is Scheduler.EULER_DISCRETE:
            return CONDITION
        is_old = not loaded.vae.config.timestep_conditioning
        if request.start is Start.FIRST_FRAME and is_old:
            return FIRST_FRAME
        return super().class_name(loaded, request)

    def scheduler(self, loaded: Any, request: GenerationRequest) -> Any:
        scheduler = super().scheduler(loaded, request)
        changes: dict[str, Any] = {}
        if self.class_name(loaded, request) == CONDITION:
            # It gives timesteps of its own, so nothing may shift them again.
            changes = {"use_dynamic_shifting": False, "shift": 1.0, "shift_terminal": None}
        elif request.num_inference_steps == 1:
            changes = {"shift_terminal": None}  # the stretching divides by zero
        return type(scheduler).from_config(scheduler.config, **changes) if changes else scheduler

    def from_text(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        decoding = DECODING if pipeline.vae.config.timestep_conditioning else {}
        frames = {"num_frames": request.num_frames, "frame_rate": request.fps}
        return words(request) | size(request) | frames | decoding

    def from_video(
        self, pipeline: Any, request: GenerationRequest, init_frames: "Frames"
    ) -> dict[str, Any]:
        # The pipeline keeps a `video` as it is; what it starts from are its latents.
        return self.from_text(pipeline, request) | {
            "latents": _latents(pipeline, request, init_frames),
            "denoise_strength": strength_of(request),
        }

    def from_images(
        self, pipeline: Any, request: GenerationRequest, images: list[Any]
    ) -> dict[str, Any]:
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        if type(pipeline).__name__ == FIRST_FRAME:
            return super().from_images(pipeline, request, images)
        last = request.num_frames - 1
        places = {Start.FIRST_FRAME: [0], Start.LAST_FRAME: [last]}.get(request.start, [0, last])
        conditions = [
            LTXVideoCondition(image=image, frame_index=place)
            for image, place in zip(images, places, strict=True)
        ]
        return self.from_text(pipeline, request) | {"conditions": conditions}

    def split(self, denoiser: Any) -> dict[str, Any]:
        return split_tokens("rope")

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        """Ours: below diffusers's default of 0.05, and a little above."""
        return {Speed.BALANCED: FirstBlock(0.04), Speed.FAST: FirstBlock(0.06)}

    def prompt_tokens(self, pipeline: Any) -> int:
        is_condition = type(pipeline).__name__ == CONDITION
        return CONDITION_TOKENS if is_condition else super().prompt_tokens(pipeline)


def split_tokens(*ropes: str, rope_dims: int = 3) -> dict[str, Any]:
    """Split a video's tokens among GPUs, with their places and, where each has its own, times.

    diffusers's own plan leaves the times whole, and splits the prompt, which every GPU may have.
    `ropes` are the modules that tell places, by tensors of `rope_dims` dimensions, the last but one
    of which counts tokens.
    """
    from diffusers.models._modeling_parallel import ContextParallelInput

    def split(dim: int, dims: int, split_output: bool = False) -> ContextParallelInput:
        return ContextParallelInput(dim, expected_dims=dims, split_output=split_output)

    places = split(rope_dims - 2, rope_dims, split_output=True)
    return {
        "": {"hidden_states": split(1, 3), "timestep": split(1, 2)},
        **{rope: {0: places, 1: places} for rope in ropes},
    }


def _latents(pipeline: Any, request: GenerationRequest, init_frames: "Frames") -> Any:
    """The frames in the model's own space, as LTXConditionPipeline itself encodes a condition."""
    vae = pipeline.vae
    pixels = as_pixels(pipeline, request, init_frames, vae.dtype)
    encoded = vae.encode(pixels).latent_dist.mode()
    return pipeline._normalize_latents(encoded, vae.latents_mean, vae.latents_std)

"""LTX-2: frames and sound, drawn together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.speed import Speed
from t2v_api.start import Start

from t2v_runner.families.base import Adapter, as_pixels, size, strength_of, words
from t2v_runner.families.ltx import DECODING, split_tokens
from t2v_runner.families.reversible import replaced, wrapped
from t2v_runner.families.step_cache import StepCache, TaylorSeer
from t2v_runner.sound import Sound

if TYPE_CHECKING:
    import torch

    from t2v_runner.families.base import Frames

UNGUIDED = {
    "audio_guidance_scale": 1.0,
    "stg_scale": 0.0,
    "audio_stg_scale": 0.0,
    "modality_scale": 1.0,
    "audio_modality_scale": 1.0,
    "guidance_rescale": 0.0,
    "audio_guidance_rescale": 0.0,
}
"""Guidance scale 1 is that of distilled models, which are asked once at each step."""

PLACES = {Start.FIRST_FRAME: (0,), Start.LAST_FRAME: (-1,), Start.BOTH_FRAMES: (0, -1)}
"""Of given frames, counted in those of the latents."""

INTERVALS = {Speed.BALANCED: 2, Speed.FAST: 3}
OUTPUTS = ("proj_out", "audio_proj_out")


class LTX2(Adapter):
    """Its pipelines guide sound and frames by scales of their own, and in three ways.

    The request's scale is that of the frames; the others stay as its authors advise, the sound's at
    7, unless the request wants no guidance at all.
    """

    family = ModelFamily.LTX2
    looking_at_all_tokens = ("attn1", "video_to_audio_attn")

    def scheduler(self, loaded: Any, request: GenerationRequest) -> Any:
        return _scheduler(super().scheduler(loaded, request), request.num_inference_steps)

    def from_text(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        frames = {"num_frames": request.num_frames, "frame_rate": request.fps}
        decoding = DECODING if pipeline.vae.config.timestep_conditioning else {}
        guidance = UNGUIDED if request.guidance_scale == 1 else {}
        return words(request) | size(request) | frames | decoding | guidance

    def from_video(
        self, pipeline: Any, request: GenerationRequest, init_frames: "Frames"
    ) -> dict[str, Any]:
        latents = _latents(pipeline, request, init_frames)
        # The pipeline noises the latents as far as the first sigma says.
        sigmas = _sigmas_left(pipeline.scheduler, request, latents[0, 0].numel())
        return self.from_text(pipeline, request) | {"latents": latents, "sigmas": sigmas}

    def from_images(
        self, pipeline: Any, request: GenerationRequest, images: list[Any]
    ) -> dict[str, Any]:
        from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

        places = PLACES[request.start]
        conditions = [
            LTX2VideoCondition(frames=image, index=place)
            for image, place in zip(images, places, strict=True)
        ]
        return self.from_text(pipeline, request) | {"conditions": conditions}

    @contextmanager
    def prepared(
        self,
        loaded: Any,
        request: GenerationRequest,
        init_frames: "Frames | None",
        generator: "torch.Generator",
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        with super().prepared(loaded, request, init_frames, generator) as (pipeline, arguments):
            if request.start is not Start.VIDEO:
                # It copies its scheduler for the sound: not with what is wrapped around it.
                pipeline.scheduler.__deepcopy__ = lambda _: self.scheduler(loaded, request)
                with _given_frames(pipeline, request):
                    yield pipeline, arguments
                return
            whole = super().scheduler(loaded, request)
            with (
                replaced(pipeline, "scheduler", _unshifted(pipeline.scheduler)),
                _sounding_anew(pipeline, whole, len(arguments["sigmas"])),
            ):
                yield pipeline, arguments

    def split(self, denoiser: Any) -> dict[str, Any]:
        """Each GPU has some of the frames' tokens, and the whole sound."""
        rope_dims = 4 if denoiser.config.rope_type == "split" else 3
        return split_tokens("rope", "cross_attn_rope", rope_dims=rope_dims)

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        """Ours. Its blocks go on with the sound as well, which First Block Cache does not."""
        return {speed: TaylorSeer(every, OUTPUTS) for speed, every in INTERVALS.items()}

    def sound(self, pipeline: Any, output: Any) -> Sound:
        samples = output.audio[0].float().cpu().numpy()
        return Sound(samples, pipeline.vocoder.config.output_sampling_rate)

    def count_tokens(self, pipeline: Any, text: str) -> int:
        return super().count_tokens(pipeline, text.strip())


def _scheduler(scheduler: Any, steps: int) -> Any:
    """For so many steps: the stretching divides by zero in one."""
    if steps > 1:
        return scheduler
    return type(scheduler).from_config(scheduler.config, shift_terminal=None)


def _unshifted(scheduler: Any) -> Any:
    """One that takes sigmas as they are."""
    changes = {"use_dynamic_shifting": False, "shift": 1.0, "shift_terminal": None}
    return type(scheduler).from_config(scheduler.config, **changes)


def _sigmas_left(scheduler: Any, request: GenerationRequest, tokens: int) -> list[float]:
    """What of the model's schedule a video of this strength comes in at, and what follows."""
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import calculate_shift

    steps = request.num_inference_steps
    config = scheduler.config
    shift = calculate_shift(
        tokens,
        config.get("base_image_seq_len", 1024),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.95),
        config.get("max_shift", 2.05),
    )
    scheduler.set_timesteps(sigmas=_even(steps), mu=shift)
    left: list[float] = scheduler.sigmas[steps - int(steps * strength_of(request)) : -1].tolist()
    return left


def _even(steps: int) -> list[float]:
    """The sigmas that LTX-2 gives a scheduler to shift."""
    return [1 - step / steps for step in range(steps)]


@contextmanager
def _given_frames(pipeline: Any, request: GenerationRequest) -> Iterator[None]:
    """The last frame is at the video's end, and the sound is drawn as from text.

    The pipeline has a place for the first of the frames that share a latent, seven before the end;
    LTX-2's authors count a frame's place in frames.
    """
    if request.start is Start.TEXT:
        yield
        return

    def at_the_end(real: Any, **named: Any) -> Any:
        return real(**named | {"pixel_frame_idx": request.num_frames - 1})

    with (
        wrapped(pipeline, "_prepare_keyframe_coords", at_the_end),
        replaced(pipeline, "audio_scheduler", None),
    ):
        yield


@contextmanager
def _sounding_anew(pipeline: Any, scheduler: Any, steps: int) -> Iterator[None]:
    """The sound comes from noise, in the steps that the frames have left: no init media has one.

    The pipeline gives the sound's scheduler the sigmas of the frames, and their times at each step.
    """
    scheduler = _scheduler(scheduler, steps)

    def set_timesteps(real: Any, *arguments: Any, **named: Any) -> None:
        real(*arguments, **named | {"sigmas": _even(steps)})
        scheduler.set_begin_index(0)

    with (
        wrapped(scheduler, "set_timesteps", set_timesteps),
        replaced(pipeline, "audio_scheduler", scheduler),
    ):
        yield


def _latents(pipeline: Any, request: GenerationRequest, init_frames: "Frames") -> "torch.Tensor":
    """The frames as the VAE has them: the pipeline normalises them itself, in their own dtype."""
    pixels = as_pixels(pipeline, request, init_frames, pipeline.vae.dtype)
    latents: torch.Tensor = pipeline.vae.encode(pixels).latent_dist.mode().float()
    return latents

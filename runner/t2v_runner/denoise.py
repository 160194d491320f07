"""Run the pipeline: the call's arguments, progress and stopping between steps, frames out."""

import functools
import inspect
from typing import TYPE_CHECKING, Any

from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler

from t2v_runner.errors import RequestRefused
from t2v_runner.reporter import Reporter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]


def denoise(
    pipeline: Any, request: GenerationRequest, init_frames: "Frames | None", reporter: Reporter
) -> "Frames":
    """Frames, uint8 RGB of shape (num_frames, height, width, 3).

    `init_frames` have that shape too; without them the pipeline starts from noise.
    Raises Stopped between two steps, and RequestRefused.
    """
    import torch

    # Some pipelines call the scheduler without a generator, some schedulers draw on the CPU.
    torch.manual_seed(request.seed)
    generator = torch.Generator("cpu").manual_seed(request.seed)
    _prepare_for_one_step(pipeline, request)
    _report_stages(pipeline, reporter)
    reporter.enter(Stage.ENCODE_PROMPT)
    with torch.inference_mode():
        arguments = call_arguments(pipeline, request, init_frames)
        if request.scheduler is Scheduler.DDIM_INVERSE:
            _prepare_inversion(pipeline, arguments["strength"], request.guidance_scale)
        video = pipeline(**arguments, generator=generator, output_type="np").frames[0]
    frames = _to_frames(video)
    if frames.shape[:3] != (request.num_frames, request.height, request.width):
        count, height, width, _ = frames.shape
        raise RequestRefused(
            f"asked for {request.num_frames} frames of {request.width}x{request.height}, the model "
            f"draws {count} of {width}x{height}; ask for a number and size that it can draw"
        )
    return frames


def call_arguments(
    pipeline: Any, request: GenerationRequest, init_frames: "Frames | None"
) -> dict[str, Any]:
    """What of the request this pipeline's call takes, under the names that it takes it by."""
    offered: dict[str, Any] = {
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "num_frames": request.num_frames,
        "video_length": request.num_frames,
        "frame_rate": request.fps,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
    }
    if request.negative_prompt:
        # HunyuanVideo ignores a negative prompt unless true guidance is on.
        offered |= {
            "negative_prompt": request.negative_prompt,
            "true_cfg_scale": request.guidance_scale,
        }
    taken = inspect.signature(pipeline.__call__).parameters
    if init_frames is not None:
        offered |= _init_arguments(pipeline, request, init_frames)
    return {name: value for name, value in offered.items() if name in taken}


def _init_arguments(
    pipeline: Any, request: GenerationRequest, init_frames: "Frames"
) -> dict[str, Any]:
    from PIL import Image

    assert request.strength is not None  # it comes with init media
    # A strength below one step would denoise nothing at all.
    strength = min(1.0, max(request.strength, 1 / request.num_inference_steps + 1e-6))
    video = [Image.fromarray(frame) for frame in init_frames]
    if "denoise_strength" in inspect.signature(pipeline.__call__).parameters:
        # LTXCondition keeps its `video` as it is; what it starts from are its latents.
        return {"latents": _latents(pipeline, video, request), "denoise_strength": strength}
    return {"video": video, "strength": strength}


def _latents(pipeline: Any, video: list[Any], request: GenerationRequest) -> Any:
    """`video` in the model's own space, as LTXConditionPipeline itself encodes a condition."""
    vae = pipeline.vae
    pixels = pipeline.video_processor.preprocess_video(video, request.height, request.width)
    encoded = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()
    return pipeline._normalize_latents(encoded, vae.latents_mean, vae.latents_std)


def _prepare_for_one_step(pipeline: Any, request: GenerationRequest) -> None:
    """LTX's stretched schedule divides by zero at one step."""
    if request.num_inference_steps == 1 and pipeline.scheduler.config.get("shift_terminal"):
        pipeline.scheduler.register_to_config(shift_terminal=None)


def _prepare_inversion(pipeline: Any, strength: float, guidance_scale: float) -> None:
    """On its way up DDIMInverse follows the model without a prompt.

    With the prompt's guidance both ways the init video would come back as it was.
    """
    import torch

    pipeline.scheduler.strength = strength
    is_guided = guidance_scale > 1  # then the model is asked without and with the prompt at once

    def unprompted(_: Any, arguments: Any, named: dict[str, Any]) -> Any:
        if is_guided and pipeline.scheduler.is_inverting:
            without, _with = named["encoder_hidden_states"].chunk(2)
            named["encoder_hidden_states"] = torch.cat([without, without])
        return arguments, named

    pipeline.unet.register_forward_pre_hook(unprompted, with_kwargs=True)


def _report_stages(pipeline: Any, reporter: Reporter) -> None:
    """Tell each denoising step and the decoding, whatever callbacks the pipeline may have.

    Steps are counted where every pipeline passes, in the scheduler; raising there stops for good.
    """
    done = steps = 0

    def get_timesteps(real: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal steps
        *rest, timesteps, count = real(*arguments, **named)
        steps = len(timesteps)
        return *rest, timesteps, count

    def begin(*_: object) -> None:
        if reporter.stage is Stage.ENCODE_PROMPT:
            reporter.enter(Stage.DENOISE)

    def step(real: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal done, steps
        # Not every pipeline counts; then it is all of them, 2n-1 with some schedulers.
        steps = steps or getattr(pipeline, "_num_timesteps", 0) or len(pipeline.scheduler.timesteps)
        result = real(*arguments, **named)
        done += 1
        reporter.denoised(done, max(done, steps))
        return result

    def decode(real: Any, *arguments: Any, **named: Any) -> Any:
        if reporter.stage is Stage.DENOISE:
            reporter.enter(Stage.DECODE)
        return real(*arguments, **named)

    for name in ("unet", "transformer", "transformer_2"):
        if denoiser := getattr(pipeline, name, None):
            denoiser.register_forward_pre_hook(begin)
    if hasattr(pipeline, "get_timesteps"):
        # A strength below 1 leaves fewer.
        pipeline.get_timesteps = _around(pipeline.get_timesteps, get_timesteps)
    pipeline.scheduler.step = _around(pipeline.scheduler.step, step)
    pipeline.vae.decode = _around(pipeline.vae.decode, decode)


def _around(real: Any, wrapper: Any) -> Any:
    """`wrapper(real, ...)` under the name and the signature of `real`, which pipelines inspect."""

    @functools.wraps(real)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        return wrapper(real, *arguments, **named)

    return wrapped


def _to_frames(video: Any) -> "Frames":
    """Rounded, not truncated, from floats in 0..1."""
    import numpy as np

    video = np.asarray(video)
    frames: Frames = np.empty(video.shape, dtype=np.uint8)
    for frame, floats in zip(frames, video, strict=True):  # one by one: floats are large
        if not np.isfinite(floats).all():
            raise FloatingPointError("the model drew values that are not numbers")
        frame[...] = np.rint(floats * 255).clip(0, 255)
    return frames

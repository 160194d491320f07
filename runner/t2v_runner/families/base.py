"""What the runner does with every model family. What one alone needs stands in that one's file."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.speed import Speed
from t2v_api.start import Start

from t2v_runner.families.reversible import pipeline_for
from t2v_runner.families.step_cache import StepCache
from t2v_runner.schedulers.build import build_scheduler

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from t2v_runner.sound import Sound

    Frames = NDArray[np.uint8]


class Adapter:
    """A family as it is unless it says otherwise.

    `fps` is the MP4's alone, unless a family takes it (`Traits.takes_fps`).
    """

    family: ClassVar[ModelFamily]
    looking_at_all_tokens: ClassVar[tuple[str, ...]] = ("attn1",)
    """Attentions in a denoiser's blocks whose keys are the tokens of the video.

    Where several GPUs share those (`Traits.shares_gpus`), these alone need what the others have.
    """

    def dtypes(self, folder: Path, dtype: "torch.dtype") -> "dict[str, torch.dtype]":
        """What each component of the model in `folder` is loaded as; `dtype` is the device's."""
        return {"default": dtype}

    def starts(self, folder: Path) -> tuple[Start, ...]:
        """What the weights in `folder` can start from, as their configuration tells it."""
        return self.family.traits.starts

    def class_name(self, loaded: Any, request: GenerationRequest) -> str:
        """The diffusers pipeline that draws this request."""
        name = self.family.traits.pipeline_for(request.start)
        assert name  # the profile starts as some model of the family does
        return name

    def scheduler(self, loaded: Any, request: GenerationRequest) -> Any:
        """A new scheduler for this request. The loaded pipeline keeps its own."""
        return build_scheduler(loaded.scheduler, self.family, request.scheduler, request.start)

    def from_text(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        """The arguments of a call that starts from noise."""
        return words(request) | size(request) | {"num_frames": request.num_frames}

    def from_video(
        self, pipeline: Any, request: GenerationRequest, init_frames: "Frames"
    ) -> dict[str, Any]:
        """The arguments of a call that starts from `init_frames`, as many as are drawn."""
        return words(request) | size(request) | restyled(request, init_frames)

    def from_images(
        self, pipeline: Any, request: GenerationRequest, images: list[Any]
    ) -> dict[str, Any]:
        """The arguments of a call that is given frames of the video: the first, the last, both."""
        return self.from_text(pipeline, request) | {"image": images[0]}

    @contextmanager
    def prepared(
        self,
        loaded: Any,
        request: GenerationRequest,
        init_frames: "Frames | None",
        generator: "torch.Generator",
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        """The pipeline for this one request, and its call's arguments but the generator.

        After the block `loaded` is as it was. Raises RequestRefused.
        """
        scheduler = self.scheduler(loaded, request)
        class_name = self.class_name(loaded, request)
        with pipeline_for(loaded, class_name, scheduler) as pipeline, _inverted(pipeline, request):
            if init_frames is None:
                yield pipeline, self.from_text(pipeline, request)
            elif request.start is Start.VIDEO:
                yield pipeline, self.from_video(pipeline, request, init_frames)
            else:
                yield pipeline, self.from_images(pipeline, request, pictures(init_frames))

    def split(self, denoiser: Any) -> dict[str, Any]:
        """Where its tokens are split among GPUs (diffusers's ContextParallelModelPlan).

        Of families that share a video among GPUs. They come together again after `proj_out`.
        """
        plan: dict[str, Any] = denoiser._cp_plan
        return {module: what for module, what in plan.items() if module != "proj_out"}

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        """What its denoiser uses again at each speed above Exact, where it has a cache."""
        return {}

    def sound(self, pipeline: Any, output: Any) -> "Sound | None":
        """The sound in what the pipeline has returned. Most make none."""
        return None

    def notices(self, pipeline: Any, request: GenerationRequest) -> list[str]:
        """What of the request this model does not use, a sentence each."""
        most, said = self.prompt_tokens(pipeline), []
        negative = request.negative_prompt if request.guidance_scale > 1 else ""
        for name, text in (("prompt", request.prompt), ("negativePrompt", negative)):
            count = self.count_tokens(pipeline, text)
            if count > most:
                said.append(f"{name} has {count} tokens; this model reads the first {most}")
        return said

    def prompt_tokens(self, pipeline: Any) -> int:
        """How many tokens of a prompt are read."""
        return self.family.traits.prompt_tokens

    def count_tokens(self, pipeline: Any, text: str) -> int:
        """As the pipeline counts them, with those that its tokenizer adds."""
        return len(pipeline.tokenizer(text).input_ids)


def _inverted(pipeline: Any, request: GenerationRequest) -> AbstractContextManager[None]:
    if request.scheduler is not Scheduler.DDIM_INVERSE:
        return nullcontext()
    from t2v_runner.schedulers.ddim_inverse import inverting

    return inverting(pipeline, strength_of(request), request.guidance_scale)


def words(request: GenerationRequest) -> dict[str, Any]:
    """What every pipeline takes under these names."""
    negative = {"negative_prompt": request.negative_prompt} if request.negative_prompt else {}
    return negative | {
        "prompt": request.prompt,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
    }


def size(request: GenerationRequest) -> dict[str, Any]:
    """Pixels."""
    return {"width": request.width, "height": request.height}


def restyled(request: GenerationRequest, init_frames: "Frames") -> dict[str, Any]:
    """The video to start from, and how much of it is destroyed."""
    return {"video": pictures(init_frames), "strength": strength_of(request)}


def pictures(init_frames: "Frames") -> list[Any]:
    """As pipelines take frames."""
    from PIL import Image

    return [Image.fromarray(frame) for frame in init_frames]


def as_pixels(
    pipeline: Any, request: GenerationRequest, init_frames: "Frames", dtype: "torch.dtype"
) -> "torch.Tensor":
    """As its VAE takes them, where it will be: (1, 3, frames, height, width) in -1..1."""
    pixels: torch.Tensor = pipeline.video_processor.preprocess_video(
        pictures(init_frames), request.height, request.width
    )
    return pixels.to(pipeline._execution_device, dtype)


def strength_of(request: GenerationRequest) -> float:
    """A strength below one step would denoise nothing at all."""
    assert request.strength is not None  # it comes with init media
    return min(1.0, max(request.strength, 1 / request.num_inference_steps + 1e-6))


def read_config(path: Path) -> dict[str, Any]:
    """A model's own configuration. Raises OSError, ValueError."""
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def no_bfloat16(dtype: "torch.dtype") -> "torch.dtype":
    """Float16, with three more bits of precision, for weights that were trained in it."""
    import torch

    return torch.float16 if dtype is torch.bfloat16 else dtype

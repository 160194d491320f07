"""Wan 2.1 and 2.2.

2.2 comes as A14B, with one expert for much noise and one for little, and as TI2V-5B, whose VAE
shrinks pictures 16 times. WanVideoToVideoPipeline knows neither, so WanPipeline itself starts from
videos here: from their noised latents, at the step that the strength says. Which weights are given
images, their configuration tells.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.speed import Speed
from t2v_api.start import Start

from t2v_runner.errors import RequestRefused
from t2v_runner.families.base import Adapter, as_pixels, read_config, strength_of
from t2v_runner.families.reversible import cast, wrapped
from t2v_runner.families.step_cache import FirstBlock, StepCache

if TYPE_CHECKING:
    import torch

    from t2v_runner.families.base import Frames

LAYERS_OF_14B = 40
"""Of the small ones, 1.3B and TI2V-5B, there are 30."""


class Wan(Adapter):
    """Its VAE encodes in float32, and that of 2.2 decodes in it too."""

    family = ModelFamily.WAN

    def dtypes(self, folder: Path, dtype: "torch.dtype") -> "dict[str, torch.dtype]":
        import torch

        index = read_config(folder / "model_index.json")
        is_2_2 = index.get("boundary_ratio") is not None or index.get("expand_timesteps", False)
        dtypes = {"default": dtype, "vae": torch.float32 if is_2_2 else dtype}
        return dtypes | {"image_encoder": torch.float32}

    def starts(self, folder: Path) -> tuple[Start, ...]:
        if read_config(folder / "model_index.json").get("expand_timesteps", False):
            return (Start.TEXT, Start.FIRST_FRAME, Start.VIDEO)
        transformer = read_config(folder / "transformer" / "config.json")
        if transformer["in_channels"] == transformer["out_channels"]:
            return (Start.TEXT, Start.VIDEO)
        if transformer.get("image_dim") is None:
            return (Start.FIRST_FRAME, Start.BOTH_FRAMES)
        # What CLIP sees in two images has places of its own, or there is but one image.
        is_given_both = transformer.get("pos_embed_seq_len") is not None
        return (Start.BOTH_FRAMES,) if is_given_both else (Start.FIRST_FRAME,)

    def from_text(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        """Without a guidance scale of its own the second expert takes the first one's."""
        arguments = super().from_text(pipeline, request)
        if request.guidance_scale_2 is not None and _has_two_experts(pipeline):
            arguments["guidance_scale_2"] = request.guidance_scale_2
        return arguments

    def from_images(
        self, pipeline: Any, request: GenerationRequest, images: list[Any]
    ) -> dict[str, Any]:
        last = {"last_image": images[1]} if request.start is Start.BOTH_FRAMES else {}
        return super().from_images(pipeline, request, images) | last

    @contextmanager
    def prepared(
        self,
        loaded: Any,
        request: GenerationRequest,
        init_frames: "Frames | None",
        generator: "torch.Generator",
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        _check_size(loaded, request)
        is_restyled = request.start is Start.VIDEO
        given = None if is_restyled else init_frames
        with ExitStack() as changes, super().prepared(loaded, request, given, generator) as call:
            pipeline, arguments = call
            if given is not None:
                changes.enter_context(_encoding_in_float32(pipeline.vae))
            elif init_frames is not None:
                clean = _latents(pipeline, request, init_frames)
                first = _first_step(request)
                arguments["latents"] = _noised(pipeline, request, clean, first, generator)
                changes.enter_context(_beginning_at(pipeline.scheduler, first))
            yield pipeline, arguments

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        """By measurements with Wan 2.1 (docs/design/speed.md): 1.3B bears less than 14B."""
        is_large = pipeline.transformer.config.num_layers >= LAYERS_OF_14B
        balanced, fast = (0.04, 0.06) if is_large else (0.03, 0.04)
        return {Speed.BALANCED: FirstBlock(balanced), Speed.FAST: FirstBlock(fast)}

    def notices(self, pipeline: Any, request: GenerationRequest) -> list[str]:
        said = super().notices(pipeline, request)
        if request.guidance_scale_2 is not None and not _has_two_experts(pipeline):
            said.append("guidanceScale2 has no effect: this model has one expert")
        return said

    def count_tokens(self, pipeline: Any, text: str) -> int:
        from diffusers.pipelines.wan.pipeline_wan import prompt_clean

        return super().count_tokens(pipeline, prompt_clean(text))


def _has_two_experts(pipeline: Any) -> bool:
    return pipeline.config.boundary_ratio is not None


def _check_size(pipeline: Any, request: GenerationRequest) -> None:
    """TI2V-5B draws fewer sizes than the rest of its family, and would draw another one."""
    multiple = pipeline.vae_scale_factor_spatial * pipeline.transformer.config.patch_size[1]
    for name, value in (("width", request.width), ("height", request.height)):
        if value % multiple:
            raise RequestRefused(
                f"{name} is {value}; this model draws multiples of {multiple}, try "
                f"{max(1, round(value / multiple)) * multiple}"
            )


def _first_step(request: GenerationRequest) -> int:
    """The step that a video of this strength comes in at."""
    steps = request.num_inference_steps
    return steps - int(steps * strength_of(request))


@contextmanager
def _encoding_in_float32(vae: Any) -> Iterator[None]:
    """The pipeline gives pictures in the VAE's own number format; it decodes in the one it had."""
    import torch

    narrow = vae.dtype

    def decode(real: Any, latents: "torch.Tensor", *arguments: Any, **named: Any) -> Any:
        with cast(vae, narrow):
            return real(latents.to(narrow), *arguments, **named)

    with cast(vae, torch.float32), wrapped(vae, "decode", decode):
        yield


def _latents(pipeline: Any, request: GenerationRequest, init_frames: "Frames") -> "torch.Tensor":
    """The frames in the model's own space: (1, channels, frames, height, width) in float32."""
    import torch

    vae, pixels = pipeline.vae, as_pixels(pipeline, request, init_frames, torch.float32)
    with cast(vae, torch.float32):
        encoded: torch.Tensor = vae.encode(pixels).latent_dist.mode()

    def per_channel(values: list[float]) -> torch.Tensor:
        return torch.tensor(values).view(1, -1, 1, 1, 1).to(encoded)

    return (encoded - per_channel(vae.config.latents_mean)) * (
        1.0 / per_channel(vae.config.latents_std)
    )


def _noised(
    pipeline: Any,
    request: GenerationRequest,
    clean: "torch.Tensor",
    first: int,
    generator: "torch.Generator",
) -> "torch.Tensor":
    """The latents with as much noise as the scheduler expects at step `first`."""
    from diffusers.utils.torch_utils import randn_tensor

    scheduler = pipeline.scheduler
    noise = randn_tensor(clean.shape, generator, clean.device, clean.dtype)
    scheduler.set_timesteps(request.num_inference_steps, device=clean.device)
    timestep = scheduler.timesteps[first * scheduler.order :][:1]
    noised: torch.Tensor = (
        scheduler.add_noise(clean, noise, timestep)
        if hasattr(scheduler, "add_noise")
        else scheduler.scale_noise(clean, timestep, noise)
    )
    return noised


@contextmanager
def _beginning_at(scheduler: Any, first: int) -> Iterator[None]:
    """The pipeline takes the steps from `first` on, the scheduler counts them from there.

    The scheduler itself keeps its whole schedule: how it ends, and in singlestep solvers what kind
    of step is due, hang on the place in it.
    """
    skipped = first * scheduler.order
    whole: Any = None

    def set_timesteps(real: Any, *arguments: Any, **named: Any) -> None:
        nonlocal whole
        real(*arguments, **named)
        whole = scheduler.timesteps
        scheduler.timesteps = whole[skipped:]

    def set_begin_index(real: Any, begin_index: int = 0) -> None:
        scheduler.timesteps = whole
        real(begin_index + skipped)

    with (
        wrapped(scheduler, "set_timesteps", set_timesteps),
        wrapped(scheduler, "set_begin_index", set_begin_index),
    ):
        yield

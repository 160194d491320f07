"""A model that needs no weights: what an ideal denoiser says where all data are N(2, 0.5²).

For such data the best prediction is known in closed form, so a sampler that works ends at mean 2.0
and standard deviation 0.5, whatever it does in between.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from t2v_api.family import ModelFamily
from t2v_api.schedulers import Scheduler
from t2v_api.start import Start
from t2v_runner.schedulers.build import build_scheduler

MEAN = 2.0
STD = 0.5
SHAPE = (1, 4, 1, 48, 48)

BETAS = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 8.5e-4, "beta_end": 0.012},
}

FLOW_MODELS: dict[str, tuple[ModelFamily, Any]] = {
    "Wan, shift 3": (
        ModelFamily.WAN,
        diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
    ),
    "Wan, shift 5": (
        ModelFamily.WAN,
        diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
    ),
    "LTX": (
        ModelFamily.LTX,
        diffusers.FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, shift_terminal=0.1
        ),
    ),
    "LTX-2": (
        ModelFamily.LTX2,
        diffusers.FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, shift_terminal=0.1
        ),
    ),
    "HunyuanVideo": (
        ModelFamily.HUNYUAN_VIDEO,
        diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
    ),
    "HunyuanVideo-1.5": (
        ModelFamily.HUNYUAN_VIDEO_15,
        diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0),
    ),
    "Mochi": (
        ModelFamily.MOCHI,
        diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
    ),
}
"""Shifts and stretching as the models' own folders have them."""

Denoiser = Callable[[torch.Tensor, Any], torch.Tensor]


@dataclass(frozen=True)
class End:
    """What a run came to."""

    mean: float
    std: float
    evaluations: int
    rmse: float
    """Distance from the data that the run started from; only of a meaning from a video."""


def noise_denoiser(alphas_cumprod: torch.Tensor, prediction_type: str) -> Denoiser:
    """ε or v at discrete times of this schedule, and between them."""
    log_sigmas = ((1 - alphas_cumprod) / alphas_cumprod).double().log() / 2

    def predict(sample: torch.Tensor, timestep: Any) -> torch.Tensor:
        time = min(max(float(timestep), 0.0), len(log_sigmas) - 1.0)
        low = min(int(time), len(log_sigmas) - 2)
        ratio = torch.lerp(log_sigmas[low], log_sigmas[low + 1], time - low).exp()
        alpha = 1 / (1 + ratio**2) ** 0.5
        noise, data = _expected(sample.double(), alpha, ratio * alpha)
        if prediction_type == "epsilon":
            return noise.float()
        return (alpha * noise - ratio * alpha * data).float()

    return predict


def flow_denoiser(inverted: bool = False) -> Denoiser:
    """The velocity at σ = timestep / 1000; `inverted`: at 1 - σ and with the other sign (Mochi)."""

    def predict(sample: torch.Tensor, timestep: Any) -> torch.Tensor:
        time = float(timestep) / 1000
        sigma = torch.tensor(1 - time if inverted else time, dtype=torch.float64)
        noise, data = _expected(sample.double(), 1 - sigma, sigma)
        return (data - noise if inverted else noise - data).float()

    return predict


def run(
    scheduler: Any,
    denoiser: Denoiser,
    steps: int,
    strength: float | None = None,
    **timesteps: Any,
) -> End:
    """Sample as the pipelines do, from noise or, with a strength, from data.

    `timesteps`: what set_timesteps gets instead of a number of steps.
    """
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    scheduler.set_timesteps(**(timesteps or {"num_inference_steps": steps}))
    left = scheduler.timesteps
    data = MEAN + STD * torch.randn(SHAPE, generator=generator)
    noise = torch.randn(SHAPE, generator=generator)
    if strength is None:
        sample = noise * getattr(scheduler, "init_noise_sigma", 1.0)
    else:
        left = left[(steps - int(steps * strength)) * scheduler.order :]
        add_noise = getattr(scheduler, "add_noise", None)
        sample = (
            add_noise(data, noise, left[:1])
            if add_noise
            else scheduler.scale_noise(data, left[:1], noise)
        )
    scale = getattr(scheduler, "scale_model_input", lambda sample, timestep: sample)
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    named = {"generator": generator} if takes_generator else {}
    previous: Any = (None, None)
    for timestep in left:
        output = denoiser(scale(sample, timestep), timestep)
        if isinstance(scheduler, diffusers.CogVideoXDPMScheduler):
            guess, before = previous
            sample, guess = scheduler.step(
                output, guess, timestep, before, sample, return_dict=False, **named
            )
            previous = (guess, timestep)
        else:
            sample = scheduler.step(output, timestep, sample, return_dict=False, **named)[0]
    rmse = ((sample - data) ** 2).mean().sqrt()
    return End(float(sample.mean()), float(sample.std()), len(left), float(rmse))


def start_with(strength: float | None) -> Start:
    return Start.TEXT if strength is None else Start.VIDEO


def noise_run(
    betas: str,
    prediction_type: str,
    scheduler: Scheduler,
    steps: int,
    strength: float | None = None,
) -> End:
    """A run on a DDPM-like model with such betas."""
    current = diffusers.DDIMScheduler(**BETAS[betas], prediction_type=prediction_type)
    built = build_scheduler(current, ModelFamily.ANIMATEDIFF, scheduler, start_with(strength))
    if scheduler is Scheduler.DDIM_INVERSE:
        built.strength = strength
    return run(built, noise_denoiser(current.alphas_cumprod, prediction_type), steps, strength)


def cogvideox_run(
    shift: float, scheduler: Scheduler, steps: int, strength: float | None = None
) -> End:
    """A run on CogVideoX's schedule: its signal-to-noise ratio shifted, zero at the end."""
    current = diffusers.CogVideoXDDIMScheduler(
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        snr_shift_scale=shift,
        timestep_spacing="trailing",
    )
    built = build_scheduler(current, ModelFamily.COGVIDEOX, scheduler, start_with(strength))
    denoiser = noise_denoiser(current.alphas_cumprod.clamp(min=2.0**-24), "v_prediction")
    return run(built, denoiser, steps, strength)


def flow_run(model: str, scheduler: Scheduler, steps: int, strength: float | None = None) -> End:
    """A run on a flow model, its timesteps set as its pipeline sets them."""
    family, current = FLOW_MODELS[model]
    timesteps: dict[str, Any] = {}
    match family:
        case ModelFamily.LTX:
            timesteps = {"sigmas": np.linspace(1.0, 1 / steps, steps), "mu": 1.5}
        case ModelFamily.LTX2:
            # Of 121 frames of 768x512, as its pipeline reckons it.
            timesteps = {"sigmas": np.linspace(1.0, 1 / steps, steps), "mu": 2.78}
        case ModelFamily.HUNYUAN_VIDEO | ModelFamily.HUNYUAN_VIDEO_15:
            timesteps = {"sigmas": np.linspace(1.0, 0.0, steps + 1)[:-1]}
        case ModelFamily.MOCHI:
            timesteps = {"sigmas": np.array(linear_quadratic_schedule(steps, 0.025))}
    built = build_scheduler(current, family, scheduler, start_with(strength))
    denoiser = flow_denoiser(inverted=family is ModelFamily.MOCHI)
    return run(built, denoiser, steps, strength, **timesteps)


def _expected(
    sample: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """E[ε] and E[x₀] of sample = alpha · x₀ + sigma · ε."""
    variance = (alpha * STD) ** 2 + sigma**2
    off = (sample - alpha * MEAN) / variance
    return sigma * off, MEAN + alpha * STD**2 * off

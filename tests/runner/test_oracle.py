"""Every scheduler ends where it must, measured on a model whose right answer is known."""

from typing import Any

import diffusers
import numpy as np
import pytest
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from t2v_api.family import ModelFamily
from t2v_api.schedulers import Scheduler, least_steps, usable
from t2v_runner.schedulers.build import build_scheduler

from tests.runner.oracle import MEAN, STD, End, flow_denoiser, noise_denoiser, run

MEAN_TOLERANCE = 0.10
STD_TOLERANCE = 0.12
STEPS = (1, 5, 20, 50)
ENOUGH_STEPS = 20
"""From here on the spread must be right too; with fewer steps most samplers blur."""
STRENGTH = 0.6

BETAS = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 8.5e-4, "beta_end": 0.012},
}
NOISE = "AnimateDiff"
EXCEPTIONS = {
    (NOISE, Scheduler.LCM, 20): (2.00, 0.31),
    (NOISE, Scheduler.LCM, 50): (2.00, 0.33),
    (NOISE, Scheduler.DDIM_INVERSE, 20): (1.99, 0.38),
    ("CogVideoX, shift 1", Scheduler.LCM, 20): (2.00, 0.31),
    ("CogVideoX, shift 1", Scheduler.LCM, 50): (2.00, 0.33),
    ("CogVideoX, shift 3", Scheduler.LCM, 20): (2.00, 0.29),
    ("CogVideoX, shift 3", Scheduler.LCM, 50): (2.00, 0.32),
    ("CogVideoX, shift 3", Scheduler.DDPM, 20): (1.99, 0.35),
    ("CogVideoX, shift 3", Scheduler.DDIM, 20): (2.00, 0.38),
    ("CogVideoX, shift 3", Scheduler.EULER_DISCRETE, 20): (2.00, 0.38),
    ("CogVideoX, shift 3", Scheduler.EULER_ANCESTRAL_DISCRETE, 20): (1.99, 0.35),
    ("CogVideoX, shift 3", Scheduler.DPM_SOLVER_SINGLESTEP, 20): (2.00, 0.38),
    ("Wan, shift 3", Scheduler.LCM, 20): (2.00, 0.31),
    ("Wan, shift 3", Scheduler.LCM, 50): (2.00, 0.33),
    ("Wan, shift 5", Scheduler.LCM, 20): (2.00, 0.29),
    ("Wan, shift 5", Scheduler.LCM, 50): (2.00, 0.32),
    ("Wan, shift 5", Scheduler.EULER_ANCESTRAL_DISCRETE, 20): (2.00, 0.35),
    ("LTX", Scheduler.LCM, 20): (2.00, 0.30),
    ("LTX", Scheduler.LCM, 50): (2.00, 0.32),
    ("LTX", Scheduler.EULER_ANCESTRAL_DISCRETE, 20): (2.00, 0.37),
    ("HunyuanVideo", Scheduler.LCM, 20): (2.00, 0.28),
    ("HunyuanVideo", Scheduler.LCM, 50): (2.00, 0.31),
    ("HunyuanVideo", Scheduler.EULER_DISCRETE, 20): (2.00, 0.37),
    ("HunyuanVideo", Scheduler.EULER_ANCESTRAL_DISCRETE, 20): (1.99, 0.33),
}
"""Mean and standard deviation as measured. LCM jumps to the data at each step and is meant for
weights that were distilled for that. DDIMInverse loses spread on both of its ways. A large shift
spends most steps where there is noise alone, and first-order samplers then blur at 20."""
EXCEPTION_TOLERANCE = 0.02

# Betas, shifts and stretching as the models' own folders have them.

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
    "HunyuanVideo": (
        ModelFamily.HUNYUAN_VIDEO,
        diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
    ),
    "Mochi": (
        ModelFamily.MOCHI,
        diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
    ),
}


@pytest.mark.parametrize("scheduler", list(Scheduler), ids=str)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("betas", BETAS)
def test_a_noise_predicting_model_is_sampled_right(
    betas: str, prediction_type: str, scheduler: Scheduler
) -> None:
    only_from_video = scheduler is Scheduler.DDIM_INVERSE
    for steps in STEPS:
        if steps >= least_steps(ModelFamily.ANIMATEDIFF, scheduler) and not only_from_video:
            check(noise_run(betas, prediction_type, scheduler, steps), NOISE, scheduler, steps)
    from_video = noise_run(betas, prediction_type, scheduler, 20, STRENGTH)
    check(from_video, NOISE, scheduler, 20)


@pytest.mark.parametrize("scheduler", usable(ModelFamily.COGVIDEOX), ids=str)
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_cogvideox_is_sampled_on_its_own_schedule(shift: float, scheduler: Scheduler) -> None:
    model = f"CogVideoX, shift {shift:.0f}"
    for steps in STEPS:
        if steps >= least_steps(ModelFamily.COGVIDEOX, scheduler):
            check(cogvideox_run(shift, scheduler, steps), model, scheduler, steps)
    if scheduler in usable(ModelFamily.COGVIDEOX, from_video=True):
        check(cogvideox_run(shift, scheduler, 20, STRENGTH), model, scheduler, 20)


@pytest.mark.parametrize("betas", BETAS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_ddim_inverse_brings_back_what_it_started_from(betas: str, prediction_type: str) -> None:
    end = noise_run(betas, prediction_type, Scheduler.DDIM_INVERSE, 50, STRENGTH)
    assert end.rmse < 0.06
    assert noise_run(betas, prediction_type, Scheduler.DDIM, 50, STRENGTH).rmse > 10 * end.rmse


@pytest.mark.parametrize("scheduler", [Scheduler.KARRAS_VE, Scheduler.SCORE_SDE_VE], ids=str)
def test_fewer_than_the_least_steps_would_leave_noise(scheduler: Scheduler) -> None:
    least = least_steps(ModelFamily.ANIMATEDIFF, scheduler)
    enough, too_few = (
        max(noise_run(betas, "epsilon", scheduler, steps).std for betas in BETAS)
        for steps in (least, least - 5)
    )
    assert enough < STD + STD_TOLERANCE < too_few


@pytest.mark.parametrize(
    ("model", "scheduler"),
    [
        pytest.param(model, scheduler, id=f"{model}, {scheduler}")
        for model, (family, _) in FLOW_MODELS.items()
        for scheduler in usable(family)
    ],
)
def test_a_flow_model_is_sampled_right(model: str, scheduler: Scheduler) -> None:
    family, _ = FLOW_MODELS[model]
    for steps in STEPS:
        # At one step the runner takes LTX's stretching away; see test_families.py.
        if steps >= least_steps(family, scheduler) and (model, steps) != ("LTX", 1):
            check(flow_run(model, scheduler, steps), model, scheduler, steps)


@pytest.mark.parametrize("scheduler", usable(ModelFamily.WAN, from_video=True), ids=str)
def test_a_flow_model_is_sampled_right_from_a_video(scheduler: Scheduler) -> None:
    end = flow_run("Wan, shift 3", scheduler, 20, STRENGTH)
    check(end, "Wan, shift 3", scheduler, 20)


def check(end: End, model: str, scheduler: Scheduler, steps: int) -> None:
    if figures := EXCEPTIONS.get((model, scheduler, steps)):
        assert (end.mean, end.std) == pytest.approx(figures, abs=EXCEPTION_TOLERANCE)
        return
    assert end.mean == pytest.approx(MEAN, abs=MEAN_TOLERANCE)
    assert end.std < STD + STD_TOLERANCE
    if steps >= ENOUGH_STEPS:
        assert end.std > STD - STD_TOLERANCE


def noise_run(
    betas: str,
    prediction_type: str,
    scheduler: Scheduler,
    steps: int,
    strength: float | None = None,
) -> End:
    """A run on a DDPM-like model with such betas."""
    current = diffusers.DDIMScheduler(**BETAS[betas], prediction_type=prediction_type)
    built = build_scheduler(current, ModelFamily.ANIMATEDIFF, scheduler, strength is not None)
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
    built = build_scheduler(current, ModelFamily.COGVIDEOX, scheduler, strength is not None)
    denoiser = noise_denoiser(current.alphas_cumprod.clamp(min=2.0**-24), "v_prediction")
    return run(built, denoiser, steps, strength)


def flow_run(model: str, scheduler: Scheduler, steps: int, strength: float | None = None) -> End:
    """A run on a flow model, its timesteps set as its pipeline sets them."""
    family, current = FLOW_MODELS[model]
    timesteps: dict[str, Any] = {}
    match family:
        case ModelFamily.LTX:
            timesteps = {"sigmas": np.linspace(1.0, 1 / steps, steps), "mu": 1.5}
        case ModelFamily.HUNYUAN_VIDEO:
            timesteps = {"sigmas": np.linspace(1.0, 0.0, steps + 1)[:-1]}
        case ModelFamily.MOCHI:
            timesteps = {"sigmas": np.array(linear_quadratic_schedule(steps, 0.025))}
    built = build_scheduler(current, family, scheduler, strength is not None)
    denoiser = flow_denoiser(inverted=family is ModelFamily.MOCHI)
    return run(built, denoiser, steps, strength, **timesteps)

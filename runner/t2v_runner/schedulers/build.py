"""Build the scheduler that a request names, for the model's own noise schedule.

The verdict is the contract's; here a scheduler is built or refused, never replaced.
"""

import inspect
from typing import Any

from t2v_api.family import ModelFamily, Prediction
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler, Support, Verdict, least_steps, usable, verdict
from t2v_api.start import Start

from t2v_runner.errors import RequestRefused, SchedulerNotSupported

NOISE_SETTING = {"clip_sample": False, "timestep_spacing": "trailing"}
"""An Euler-style config gives DDIM and DDPM clip_sample=True, which ruins latents; `leading`
spacing returns noise at one step."""


def check_scheduler(family: ModelFamily, request: GenerationRequest) -> None:
    """Whether the request's scheduler and steps will do, before anything is loaded.

    Raises SchedulerNotSupported, RequestRefused.
    """
    _decide(family, request.scheduler, request.start)
    least = least_steps(family, request.scheduler)
    if request.num_inference_steps < least:
        raise RequestRefused(
            f"numInferenceSteps is {request.num_inference_steps}; {request.scheduler.value} with "
            f"{family} models needs at least {least}"
        )


def build_scheduler(
    current: Any, family: ModelFamily, wanted: Scheduler, start: Start = Start.TEXT
) -> Any:
    """The scheduler `wanted` with the betas or the shift of the pipeline's `current` one.

    For a run that starts so. Raises SchedulerNotSupported.
    """
    decision = _decide(family, wanted, start)
    scheduler_class = _find_class(decision.class_name)
    if family.traits.prediction is Prediction.NOISE:
        return _built(scheduler_class, current, NOISE_SETTING)
    if isinstance(current, scheduler_class):
        return scheduler_class.from_config(current.config)
    shift = current.config.get("flow_shift") or current.config.get("shift") or 1.0
    setting = {
        "use_flow_sigmas": True,
        "prediction_type": "flow_prediction",
        "flow_shift": shift,
        "shift": shift,
    }
    return _built(scheduler_class, current, setting)


def _decide(family: ModelFamily, wanted: Scheduler, start: Start) -> Verdict:
    decision = verdict(family, wanted, start)
    if decision.support is not Support.REPLACED:
        return decision
    raise SchedulerNotSupported(
        f"scheduler {wanted.value} cannot be used with {family} models that start from "
        f"{start.source}; choose one of {', '.join(usable(family, start))}"
    )


def _find_class(name: str) -> Any:
    """An adapter of ours, or a class of diffusers."""
    import diffusers

    from t2v_runner.schedulers.adapters import ADAPTERS

    return ADAPTERS.get(name) or getattr(diffusers, name)


def _built(scheduler_class: Any, current: Any, setting: dict[str, Any]) -> Any:
    known = inspect.signature(scheduler_class.__init__).parameters
    if _is_altered(current) and "snr_shift_scale" not in known:
        setting = setting | {"trained_betas": _betas(current), "rescale_betas_zero_snr": False}
    return scheduler_class.from_config(
        current.config, **{name: value for name, value in setting.items() if name in known}
    )


def _is_altered(current: Any) -> bool:
    """Whether its noise schedule is another than its betas say, which few classes know of."""
    config = current.config
    return bool(config.get("snr_shift_scale") or config.get("rescale_betas_zero_snr"))


def _betas(current: Any) -> list[float]:
    """The betas that lead to the noise schedule that `current` really has."""
    left = current.alphas_cumprod.double().clone()
    # No signal at all would be an infinite σ: end with twice the σ of the step before.
    left[-1] = left[-1].clamp(min=left[-2] / 4)
    betas: list[float] = (1 - left / left.roll(1)).tolist()
    return [float(1 - left[0]), *betas[1:]]

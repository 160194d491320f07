"""Build the diffusers scheduler that a request names, for the model's own noise schedule."""

import inspect
from typing import Any

from t2v_api.family import ModelFamily, Prediction
from t2v_api.schedulers import Scheduler, Support, usable, verdict

from t2v_runner.errors import SchedulerNotSupported

NOISE_SETTING = {"clip_sample": False, "timestep_spacing": "trailing", "skip_prk_steps": True}
"""An Euler-style config gives DDIM and DDPM clip_sample=True, which ruins latents; `leading`
spacing returns noise at one step; PNDM's Runge-Kutta start needs four steps."""


def build_scheduler(current: Any, family: ModelFamily, wanted: Scheduler) -> Any:
    """The scheduler `wanted` with the betas or the shift of the pipeline's `current` one.

    Raises SchedulerNotSupported.
    """
    import diffusers

    decision = verdict(family, wanted)
    if decision.support is Support.UNSUPPORTED:
        raise SchedulerNotSupported(
            f"scheduler {wanted.value} cannot be used with {family} models; "
            f"choose one of {', '.join(usable(family))}"
        )
    scheduler_class = getattr(diffusers, decision.diffusers_class)
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


def _built(scheduler_class: Any, current: Any, setting: dict[str, Any]) -> Any:
    known = inspect.signature(scheduler_class.__init__).parameters
    return scheduler_class.from_config(
        current.config, **{name: value for name, value in setting.items() if name in known}
    )

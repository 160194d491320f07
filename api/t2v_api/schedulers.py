"""The 18 schedulers that the endpoint names, and which of them a model family can use.

Pure data under diffusers's class names, so that the operator can decide without torch.
"""

from dataclasses import dataclass
from enum import StrEnum

from t2v_api.family import ModelFamily, Prediction


class Scheduler(StrEnum):
    """A diffusers scheduler class, as the endpoint's documentation lists them."""

    DDPM = "DDPMScheduler"
    DDIM = "DDIMScheduler"
    PNDM = "PNDMScheduler"
    LMS_DISCRETE = "LMSDiscreteScheduler"
    EULER_DISCRETE = "EulerDiscreteScheduler"
    EULER_ANCESTRAL_DISCRETE = "EulerAncestralDiscreteScheduler"
    DPM_SOLVER_MULTISTEP = "DPMSolverMultistepScheduler"
    HEUN_DISCRETE = "HeunDiscreteScheduler"
    KDPM2_DISCRETE = "KDPM2DiscreteScheduler"
    DPM_SOLVER_SINGLESTEP = "DPMSolverSinglestepScheduler"
    KDPM2_ANCESTRAL_DISCRETE = "KDPM2AncestralDiscreteScheduler"
    UNIPC_MULTISTEP = "UniPCMultistepScheduler"
    DDIM_INVERSE = "DDIMInverseScheduler"
    DEIS_MULTISTEP = "DEISMultistepScheduler"
    IPNDM = "IPNDMScheduler"
    KARRAS_VE = "KarrasVeScheduler"
    SCORE_SDE_VE = "ScoreSdeVeScheduler"
    LCM = "LCMScheduler"


class Support(StrEnum):
    """How far a family can use a scheduler."""

    EXACT = "Exact"
    """The class that was asked for, as it is."""
    ADAPTED = "Adapted"
    """The family's own form of what was asked for."""
    UNSUPPORTED = "Unsupported"
    """It would draw garbage."""


@dataclass(frozen=True)
class Verdict:
    """What a (family, scheduler) pair comes to."""

    support: Support
    diffusers_class: str
    """The class that is built; empty where nothing is."""


_NOISE_PREDICTING = frozenset(Scheduler) - {
    Scheduler.DDIM_INVERSE,
    Scheduler.IPNDM,
    Scheduler.KARRAS_VE,
    Scheduler.SCORE_SDE_VE,
}

_COGVIDEOX = {
    Scheduler.DDIM: "CogVideoXDDIMScheduler",
    Scheduler.DPM_SOLVER_MULTISTEP: "CogVideoXDPMScheduler",
}
"""CogVideoX shifts the signal-to-noise ratio of its schedule; other classes would ignore that."""

_FLOW_MATCHING = {
    Scheduler.EULER_DISCRETE: "FlowMatchEulerDiscreteScheduler",
    Scheduler.EULER_ANCESTRAL_DISCRETE: "LTXEulerAncestralRFScheduler",
    Scheduler.HEUN_DISCRETE: "FlowMatchHeunDiscreteScheduler",
    Scheduler.LCM: "FlowMatchLCMScheduler",
    Scheduler.UNIPC_MULTISTEP: "UniPCMultistepScheduler",
    Scheduler.DPM_SOLVER_MULTISTEP: "DPMSolverMultistepScheduler",
    Scheduler.DPM_SOLVER_SINGLESTEP: "DPMSolverSinglestepScheduler",
}

_TAKE_CUSTOM_SIGMAS = frozenset(
    {
        Scheduler.EULER_DISCRETE,
        Scheduler.EULER_ANCESTRAL_DISCRETE,
        Scheduler.LCM,
        Scheduler.UNIPC_MULTISTEP,
    }
)
"""LTX, HunyuanVideo and Mochi pass sigmas of their own; the other classes refuse them."""

_UNSUPPORTED = Verdict(Support.UNSUPPORTED, "")


def verdict(family: ModelFamily, scheduler: Scheduler) -> Verdict:
    """Whether, and as which diffusers class, `family` can use `scheduler`."""
    traits = family.traits
    if family is ModelFamily.COGVIDEOX:
        return _adapted(_COGVIDEOX, scheduler)
    if traits.prediction is Prediction.NOISE:
        return _noise_verdict(scheduler)
    if traits.custom_sigmas and scheduler not in _TAKE_CUSTOM_SIGMAS:
        return _UNSUPPORTED
    return _adapted(_FLOW_MATCHING, scheduler)


def usable(family: ModelFamily) -> tuple[Scheduler, ...]:
    """The schedulers that draw a right video with this family, in the endpoint's order."""
    return tuple(
        scheduler
        for scheduler in Scheduler
        if verdict(family, scheduler).support is not Support.UNSUPPORTED
    )


def _adapted(classes: dict[Scheduler, str], scheduler: Scheduler) -> Verdict:
    name = classes.get(scheduler)
    return Verdict(Support.ADAPTED, name) if name else _UNSUPPORTED


def _noise_verdict(scheduler: Scheduler) -> Verdict:
    if scheduler in _NOISE_PREDICTING:
        return Verdict(Support.EXACT, scheduler.value)
    return _UNSUPPORTED

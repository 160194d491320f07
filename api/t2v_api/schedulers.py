"""The 18 schedulers that the endpoint names, and what a model family makes of each.

Pure data under diffusers's class names, so that the operator can decide without torch. Where the
figures behind it come from: docs/schedulers.md.
"""

from dataclasses import dataclass
from enum import StrEnum

from t2v_api.family import ModelFamily, Prediction
from t2v_api.start import Start


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
    """The same sampler in a form that fits the family."""
    EXPERIMENTAL = "Experimental"
    """It draws, but measurably worse than the others."""
    REPLACED = "Replaced"
    """It would draw garbage; the nearest that draws is named instead."""


@dataclass(frozen=True)
class Verdict:
    """What a (family, scheduler) pair comes to."""

    support: Support
    scheduler: Scheduler
    """What runs: the one that was asked for, unless it is replaced."""
    class_name: str
    """The class that is built for it: diffusers's, or an `Adapted…` one of the runner."""


def verdict(family: ModelFamily, scheduler: Scheduler, start: Start = Start.TEXT) -> Verdict:
    """What `family` makes of `scheduler` in a run that starts so."""
    classes = _classes(family, start)
    if scheduler in classes:
        support = _support(family, scheduler, classes[scheduler])
        return Verdict(support, scheduler, classes[scheduler])
    nearest = next(
        each for each in (*_NEAREST.get(scheduler, ()), *_EVERY_FAMILY_HAS_ONE) if each in classes
    )
    return Verdict(Support.REPLACED, nearest, classes[nearest])


def usable(family: ModelFamily, start: Start = Start.TEXT) -> tuple[Scheduler, ...]:
    """The schedulers that `family` does not replace, in the endpoint's order."""
    return tuple(scheduler for scheduler in Scheduler if scheduler in _classes(family, start))


def least_steps(family: ModelFamily, scheduler: Scheduler) -> int:
    """The fewest inference steps that leave no noise in the video."""
    return max(family.traits.least_steps, _LEAST_STEPS.get(scheduler, 1))


_LEAST_STEPS = {Scheduler.KARRAS_VE: 10, Scheduler.SCORE_SDE_VE: 15}
"""Both add noise at each step, and with fewer steps do not get rid of it: the smallest multiples of
five at which the oracle's standard deviation is right on every beta schedule."""

_EXACT_FOR_NOISE = (
    Scheduler.DDPM,
    Scheduler.DDIM,
    Scheduler.LMS_DISCRETE,
    Scheduler.EULER_DISCRETE,
    Scheduler.EULER_ANCESTRAL_DISCRETE,
    Scheduler.DPM_SOLVER_MULTISTEP,
    Scheduler.HEUN_DISCRETE,
    Scheduler.KDPM2_DISCRETE,
    Scheduler.DPM_SOLVER_SINGLESTEP,
    Scheduler.KDPM2_ANCESTRAL_DISCRETE,
    Scheduler.UNIPC_MULTISTEP,
    Scheduler.DEIS_MULTISTEP,
    Scheduler.LCM,
)

_NOISE = {scheduler: scheduler.value for scheduler in _EXACT_FOR_NOISE} | {
    Scheduler.PNDM: "AdaptedPNDMScheduler",
    Scheduler.IPNDM: "AdaptedIPNDMScheduler",
    Scheduler.KARRAS_VE: "AdaptedKarrasVeScheduler",
    Scheduler.SCORE_SDE_VE: "AdaptedScoreSdeVeScheduler",
}

_NOISE_FROM_VIDEO = _NOISE | {Scheduler.DDIM_INVERSE: "AdaptedDDIMInverseScheduler"}
"""DDIMInverse turns a video into noise; what it cannot do is start without one."""

_COGVIDEOX_FROM_VIDEO = {
    Scheduler.DDPM: "DDPMScheduler",
    Scheduler.DDIM: "CogVideoXDDIMScheduler",
    Scheduler.DPM_SOLVER_MULTISTEP: "CogVideoXDPMScheduler",
    Scheduler.DPM_SOLVER_SINGLESTEP: "DPMSolverSinglestepScheduler",
    Scheduler.UNIPC_MULTISTEP: "UniPCMultistepScheduler",
    Scheduler.DEIS_MULTISTEP: "DEISMultistepScheduler",
    Scheduler.IPNDM: "AdaptedIPNDMScheduler",
    Scheduler.LCM: "LCMScheduler",
}
"""Its video-to-video pipeline scales the noised video once more where init_noise_sigma is not 1."""

_COGVIDEOX = _COGVIDEOX_FROM_VIDEO | {
    Scheduler.LMS_DISCRETE: "LMSDiscreteScheduler",
    Scheduler.EULER_DISCRETE: "EulerDiscreteScheduler",
    Scheduler.EULER_ANCESTRAL_DISCRETE: "EulerAncestralDiscreteScheduler",
    Scheduler.KDPM2_DISCRETE: "KDPM2DiscreteScheduler",
    Scheduler.KDPM2_ANCESTRAL_DISCRETE: "KDPM2AncestralDiscreteScheduler",
    Scheduler.KARRAS_VE: "AdaptedKarrasVeScheduler",
    Scheduler.SCORE_SDE_VE: "AdaptedScoreSdeVeScheduler",
}
"""Its schedule ends without any signal, where PNDM and Heun leave noise in few steps."""

_FLOW_EULER = {Scheduler.EULER_DISCRETE: "FlowMatchEulerDiscreteScheduler"}

_FLOW_CUSTOM_SIGMAS = _FLOW_EULER | {
    Scheduler.EULER_ANCESTRAL_DISCRETE: "AdaptedEulerAncestralScheduler",
    Scheduler.UNIPC_MULTISTEP: "UniPCMultistepScheduler",
    Scheduler.LCM: "FlowMatchLCMScheduler",
}
"""LTX, LTX-2 and both HunyuanVideos pass sigmas of their own; the other classes refuse them."""

_LTX2_FROM_FRAMES = {
    scheduler: _FLOW_CUSTOM_SIGMAS[scheduler]
    for scheduler in (Scheduler.EULER_DISCRETE, Scheduler.UNIPC_MULTISTEP)
}
"""The others add noise at each step, also to the frames that are given, which are to stay clean."""

_FLOW = _FLOW_CUSTOM_SIGMAS | {
    Scheduler.HEUN_DISCRETE: "FlowMatchHeunDiscreteScheduler",
    Scheduler.DPM_SOLVER_MULTISTEP: "DPMSolverMultistepScheduler",
    Scheduler.DPM_SOLVER_SINGLESTEP: "DPMSolverSinglestepScheduler",
}
"""DEIS would build too, with flow sigmas, and end off the mean: 1.72 of 2.0 at 20 steps."""

_EXPERIMENTAL = frozenset({Scheduler.LCM})
"""LCM is sharp on weights that were distilled for it, soft on others."""

_MULTISTEP = (Scheduler.UNIPC_MULTISTEP, Scheduler.DPM_SOLVER_MULTISTEP)
_ANCESTRAL = (Scheduler.EULER_ANCESTRAL_DISCRETE,)
_NEAREST: dict[Scheduler, tuple[Scheduler, ...]] = {
    Scheduler.DDPM: _ANCESTRAL,
    Scheduler.PNDM: _MULTISTEP,
    Scheduler.LMS_DISCRETE: _MULTISTEP,
    Scheduler.DPM_SOLVER_MULTISTEP: _MULTISTEP,
    Scheduler.HEUN_DISCRETE: (Scheduler.KDPM2_DISCRETE, *_MULTISTEP),
    Scheduler.KDPM2_DISCRETE: (Scheduler.HEUN_DISCRETE, *_MULTISTEP),
    Scheduler.DPM_SOLVER_SINGLESTEP: (Scheduler.DPM_SOLVER_MULTISTEP, *_MULTISTEP),
    Scheduler.KDPM2_ANCESTRAL_DISCRETE: _ANCESTRAL,
    Scheduler.UNIPC_MULTISTEP: _MULTISTEP,
    Scheduler.DDIM_INVERSE: (Scheduler.DDIM,),
    Scheduler.DEIS_MULTISTEP: (Scheduler.DPM_SOLVER_MULTISTEP, *_MULTISTEP),
    Scheduler.IPNDM: _MULTISTEP,
    Scheduler.KARRAS_VE: _ANCESTRAL,
    Scheduler.SCORE_SDE_VE: _ANCESTRAL,
}
"""The nearest first: of the same order and, where it adds noise, one that does too."""

_EVERY_FAMILY_HAS_ONE = (Scheduler.EULER_DISCRETE, Scheduler.DDIM)


def _classes(family: ModelFamily, start: Start) -> dict[Scheduler, str]:
    """What can be built, and as which class.

    A pipeline that is given frames samples the others as from noise.
    """
    from_video = start is Start.VIDEO
    match family:
        case ModelFamily.COGVIDEOX:
            return _COGVIDEOX_FROM_VIDEO if from_video else _COGVIDEOX
        case ModelFamily.MOCHI:
            # It counts its sigmas the other way round, which one class understands.
            return _FLOW_EULER
        case ModelFamily.LTX if start is not Start.TEXT:
            # Each token has a time of its own then, which one class understands.
            return _FLOW_EULER
        case ModelFamily.LTX2 if from_video:
            # The sigmas that are left are passed as they are, and others shift them once more.
            return _FLOW_EULER
        case ModelFamily.LTX2 if start is not Start.TEXT:
            return _LTX2_FROM_FRAMES
        case (
            ModelFamily.LTX
            | ModelFamily.LTX2
            | ModelFamily.HUNYUAN_VIDEO
            | ModelFamily.HUNYUAN_VIDEO_15
        ):
            return _FLOW_CUSTOM_SIGMAS
        case ModelFamily.WAN:
            return _FLOW
        case ModelFamily.ANIMATEDIFF | ModelFamily.LATTE | ModelFamily.TEXT_TO_VIDEO_SD:
            return _NOISE_FROM_VIDEO if from_video else _NOISE


def _support(family: ModelFamily, scheduler: Scheduler, class_name: str) -> Support:
    if scheduler in _EXPERIMENTAL:
        return Support.EXPERIMENTAL
    # In a flow family a class of the same name predicts otherwise and has other sigmas.
    is_itself = class_name == scheduler and family.traits.prediction is Prediction.NOISE
    return Support.EXACT if is_itself else Support.ADAPTED

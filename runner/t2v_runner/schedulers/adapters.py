"""The runner's own scheduler classes by name. Importing this imports torch and diffusers."""

from typing import Any

from t2v_runner.schedulers.ddim_inverse import AdaptedDDIMInverseScheduler
from t2v_runner.schedulers.euler_ancestral import AdaptedEulerAncestralScheduler
from t2v_runner.schedulers.ipndm import AdaptedIPNDMScheduler
from t2v_runner.schedulers.karras_ve import AdaptedKarrasVeScheduler
from t2v_runner.schedulers.pndm import AdaptedPNDMScheduler
from t2v_runner.schedulers.score_sde_ve import AdaptedScoreSdeVeScheduler

ADAPTERS: dict[str, Any] = {
    adapter.__name__: adapter
    for adapter in (
        AdaptedDDIMInverseScheduler,
        AdaptedEulerAncestralScheduler,
        AdaptedIPNDMScheduler,
        AdaptedKarrasVeScheduler,
        AdaptedPNDMScheduler,
        AdaptedScoreSdeVeScheduler,
    )
}

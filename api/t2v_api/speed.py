"""How much of a video's exactness is given for speed. What then is used again, a family knows."""

from enum import StrEnum

from t2v_api.family import ModelFamily


class Speed(StrEnum):
    """Exact asks the denoiser at each step; the others use some of its answers again."""

    EXACT = "Exact"
    BALANCED = "Balanced"
    FAST = "Fast"


LEAST_STEPS = 8
"""In fewer, as distilled models take, each step goes too far to be guessed from the one before."""


def exact_is_null(speed: Speed | None) -> Speed | None:
    """Exact and null are one request: what is null stands in no digest."""
    return None if speed is Speed.EXACT else speed


def steps_left(steps: int, strength: float | None) -> int:
    """How many denoising steps are taken where a strength leaves a part of them, one at least."""
    return steps if strength is None else max(1, int(steps * strength))


def problem_with(speed: Speed, family: ModelFamily, steps: int) -> str:
    """Why it has no effect on so many steps of the family's models; empty where it has one."""
    if speed is Speed.EXACT:
        return ""
    if not family.traits.has_cache:
        return f"speed {speed} has no effect: {family} models have no cache for it"
    if steps < LEAST_STEPS:
        return f"speed {speed} has no effect below {LEAST_STEPS} steps, and {steps} are taken"
    return ""

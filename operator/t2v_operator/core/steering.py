"""What to write onto a resource to cancel its video, or to have it made again. Pure.

Each returns a merge patch, or why there is none to write: `t2v cancel` and `t2v retry` say it.
"""

from dataclasses import dataclass
from typing import Any

from t2v_api.resource import Phase

FINAL = (Phase.SUCCEEDED, Phase.FAILED)


@dataclass(frozen=True)
class Needless:
    """Nothing would come of it."""

    why: str


def cancelling(resource: dict[str, Any]) -> dict[str, Any] | Needless:
    """The patch that gives a video up. `resource`: as the API server has it."""
    spec, phase = resource.get("spec") or {}, _phase(resource)
    if phase in FINAL:
        return Needless(f"it has ended already: {phase}")
    if spec.get("cancel"):
        return Needless("it is cancelled already")
    return {"spec": {"cancel": True}}


def retrying(resource: dict[str, Any], token: str | None = None) -> dict[str, Any] | Needless:
    """The patch that makes a video again which has failed. `token`: one that it had not before.

    Without one it is the next number. A `cancel` is taken back with it.
    """
    spec, phase = resource.get("spec") or {}, _phase(resource)
    if phase != Phase.FAILED:
        made = "its video is made" if phase == Phase.SUCCEEDED else "it is under way"
        return Needless(f"{made} ({phase}): a retry is for what has failed")
    used = _used(resource)
    if token is not None and token in used:
        return Needless(f"retryToken {token} was used before; choose another")
    wanted = token or _next(used)
    taken_back = {"cancel": None} if spec.get("cancel") is not None else {}
    return {"spec": {"retryToken": wanted, **taken_back}}


def _phase(resource: dict[str, Any]) -> str:
    """Pending where nobody has looked at its present generation yet."""
    status = resource.get("status") or {}
    generation = resource["metadata"].get("generation", 1)
    if status.get("observedGeneration") != generation:
        return Phase.PENDING
    return str(status.get("phase", Phase.PENDING))


def _used(resource: dict[str, Any]) -> set[str]:
    spec, status = resource.get("spec") or {}, resource.get("status") or {}
    return {*(status.get("retryTokens") or ()), *filter(None, [spec.get("retryToken")])}


def _next(used: set[str]) -> str:
    numbers = [int(each) for each in used if each.isascii() and each.isdecimal()]
    return str(max(numbers, default=0) + 1)

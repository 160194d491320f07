"""What of a resource's spec to change to cancel its video, or to have it made again. Pure.

`resource`: as the API server has it. Raises NothingToDo where nothing would come of it.
"""

from typing import Any

from t2v_api.resource import Phase

from t2v_client.errors import NothingToDo

FINAL = (Phase.SUCCEEDED, Phase.FAILED)


def cancelling(resource: dict[str, Any]) -> dict[str, Any]:
    """What gives a video up."""
    name, phase = resource["metadata"]["name"], _phase(resource)
    if phase in FINAL:
        raise NothingToDo(f"{name} has ended already: {phase}")
    return {"cancel": True}


def retrying(resource: dict[str, Any]) -> dict[str, Any]:
    """What makes a video again that has failed: the next number, and a `cancel` is taken back."""
    name, phase = resource["metadata"]["name"], _phase(resource)
    if phase != Phase.FAILED:
        state = "is made" if phase == Phase.SUCCEEDED else "is under way"
        raise NothingToDo(f"{name} {state} ({phase}): a retry is for what has failed")
    spec = resource.get("spec") or {}
    taken_back = {"cancel": None} if spec.get("cancel") is not None else {}
    return {"retryToken": _next(_used(resource)), **taken_back}


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

"""Which LoRAs a request gets: those of the configuration's list, and none beside them. No I/O."""

from collections.abc import Sequence

from t2v_api.lora import AppliedLora, Lora, LoraReference
from t2v_api.profile import ModelProfile
from t2v_api.reasons import Reason

from t2v_operator.errors import RequestRefused


def applied(
    wanted: Sequence[LoraReference], profile: ModelProfile, known: Sequence[Lora]
) -> tuple[AppliedLora, ...]:
    """In the user's order. Raises RequestRefused."""
    listed = {lora.name: lora for lora in known}
    fitting = sorted(name for name, lora in listed.items() if lora.is_for(profile))
    for number, reference in enumerate(wanted):
        problem = _problem(reference.source, profile, listed)
        if problem:
            raise RequestRefused(
                Reason.INVALID_REQUEST,
                f"loras[{number}].source is {reference.source!r}, {problem}; model {profile.id} "
                + (f"can have {', '.join(fitting)}" if fitting else "can have none"),
            )
    return tuple(
        AppliedLora(name=each.source, source=listed[each.source].source, weight=each.weight)
        for each in wanted
    )


def _problem(name: str, profile: ModelProfile, listed: dict[str, Lora]) -> str:
    lora = listed.get(name)
    if lora is None:
        return "which is not in the operator's list of LoRAs"
    if not lora.is_for(profile):
        models = ", ".join(lora.models) or f"{lora.family} models"
        return f"which is for {models}"
    return ""


def download_bytes(wanted: Sequence[AppliedLora] | None, known: Sequence[Lora]) -> int | None:
    """What their files have that come from a hub; None where the list does not say it of each."""
    listed = {lora.name: lora.download for lora in known}
    sizes = [0 if each.source.hub is None else listed.get(each.name) for each in wanted or ()]
    return None if None in sizes else sum(filter(None, sizes))

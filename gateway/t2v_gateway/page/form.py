"""What the form must know to offer only what a model can draw."""

from typing import Any

from t2v_api.api_key import ApiKey
from t2v_api.family import ModelFamily
from t2v_api.lora import MOST_LORAS
from t2v_api.profile import ModelProfile, PromptEnhancement
from t2v_api.ranges import MAX_SEED
from t2v_api.request import PROMPT_CHARACTERS
from t2v_api.schedulers import Scheduler, Support, least_steps, verdict
from t2v_api.start import Start

from t2v_gateway.errors import NotFound
from t2v_gateway.gateway import Gateway
from t2v_gateway.page.glance import opened_pools

Document = dict[str, Any]


def form_of(gateway: Gateway, key: ApiKey) -> Document:
    """The models to choose from, and what holds for all of them."""
    catalogue = gateway.models.catalogue
    return {
        "models": [_named(gateway, name) for name in catalogue.names],
        "promptCharacters": PROMPT_CHARACTERS,
        "mostSeed": str(MAX_SEED),
        "mostLoras": MOST_LORAS,
        "hasPools": len(opened_pools(gateway.config, key)) > 1,
    }


def model_of(gateway: Gateway, name: str) -> Document:
    """One model's limits, defaults and schedulers. Raises NotFound."""
    found = gateway.models.catalogue.find(name)
    if found is None:
        raise NotFound(f"model {name[:63]!r}")
    profile = found.profile
    loras = [
        {"name": lora.name, "description": lora.description}
        for lora in gateway.config.loras
        if lora.family is profile.family and (not lora.models or name in lora.models)
    ]
    return _named(gateway, name) | {
        "family": profile.family.value,
        "defaults": profile.defaults.document(),
        "limits": profile.limits.document(),
        "grid": {
            "size": profile.grid.size,
            "frames": profile.grid.frames,
            "offset": profile.grid.offset,
        },
        "starts": list(profile.all_starts),
        "schedulers": _schedulers(profile),
        "hasSpeed": profile.family.traits.has_cache and profile.resources.gpus <= 1,
        "enhancesPrompts": profile.prompt_enhancement is not PromptEnhancement.NONE,
        "loras": loras if profile.family.traits.takes_loras else [],
    }


def _named(gateway: Gateway, name: str) -> Document:
    catalogue = gateway.models.catalogue
    found, waiting = catalogue.find(name), catalogue.not_ready(name)
    return {
        "id": name,
        "description": found.profile.description if found else "",
        "isReady": found is not None,
        "whyNot": waiting.why_not if waiting else "",
    }


def _schedulers(profile: ModelProfile) -> Document:
    """By what the video starts from; starts that are alike are said once, under Text."""
    text = [_scheduler(profile.family, each, Start.TEXT) for each in Scheduler]
    by_start = {Start.TEXT.value: text}
    for start in profile.all_starts:
        rows = [_scheduler(profile.family, each, start) for each in Scheduler]
        if rows != text:
            by_start[start.value] = rows
    return by_start


def _scheduler(family: ModelFamily, scheduler: Scheduler, start: Start) -> Document:
    decision = verdict(family, scheduler, start)
    is_replaced = decision.support is Support.REPLACED
    return {
        "name": scheduler.value,
        "support": decision.support.value,
        "instead": decision.scheduler.value if is_replaced else None,
        "leastSteps": least_steps(family, decision.scheduler),
    }

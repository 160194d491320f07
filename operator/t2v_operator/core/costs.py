"""Sum what resources say that they took of GPUs and cost. Pure: plain JSON in, rows out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from t2v_api.api_key import KEY_LABEL


class By(StrEnum):
    """What is summed."""

    NAMESPACE = "namespace"
    KEY = "key"
    MODEL = "model"
    POOL = "pool"


@dataclass
class Sum:
    """Of the videos of one namespace, key, model or pool."""

    name: str
    """Empty: those that have none, such as no API key."""
    videos: int = 0
    gpu_seconds: float = 0.0
    costs: dict[str, Decimal] = field(default_factory=dict)
    """By currency."""


def sums(documents: Iterable[dict[str, Any]], by: By, since: datetime) -> list[Sum]:
    """Of the resources that took anything and ended after `since`, or go on; the most first."""
    found: dict[str, Sum] = {}
    for document in documents:
        status = document.get("status") or {}
        seconds, ended = status.get("gpuSeconds"), status.get("completionTime")
        if seconds is None or (ended and datetime.fromisoformat(ended) < since):
            continue
        name = _name(document, by)
        each = found.setdefault(name, Sum(name))
        each.videos += 1
        each.gpu_seconds += seconds
        _add(each.costs, status.get("cost") or {})
    return sorted(found.values(), key=lambda each: (-each.gpu_seconds, each.name))


def total(each: Iterable[Sum]) -> Sum:
    """Of all of them."""
    whole = Sum("")
    for one in each:
        whole.videos += one.videos
        whole.gpu_seconds += one.gpu_seconds
        for currency, amount in one.costs.items():
            whole.costs[currency] = whole.costs.get(currency, Decimal()) + amount
    return whole


def _name(document: dict[str, Any], by: By) -> str:
    metadata, status = document["metadata"], document.get("status") or {}
    match by:
        case By.NAMESPACE:
            return str(metadata["namespace"])
        case By.MODEL:
            return str((document.get("spec") or {}).get("modelId", ""))
        case By.POOL:
            return str(status.get("pool") or "")
        case By.KEY:
            return str(status.get("keyId") or (metadata.get("labels") or {}).get(KEY_LABEL, ""))


def _add(costs: dict[str, Decimal], cost: dict[str, Any]) -> None:
    try:
        amount = Decimal(cost["amount"])
    except (LookupError, InvalidOperation, TypeError):
        return
    currency = str(cost.get("currency", ""))
    costs[currency] = costs.get(currency, Decimal()) + amount

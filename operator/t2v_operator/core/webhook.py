"""Whether somebody is still to be told of a request's end. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any

from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus


def url_hash(url: str) -> str:
    """Says which URL was told without showing it: it may hold a secret."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def is_due(url: str | None, status: TextToVideoJobStatus | None) -> bool:
    """Whether this URL is still to be told of the end."""
    if status is None or status.phase not in (Phase.SUCCEEDED, Phase.FAILED):
        return False
    if any(each.reason == Reason.WEBHOOK_REFUSED for each in status.conditions):
        return False
    return is_due_by(url, status.webhook.document() if status.webhook else {})


def is_due_by(url: str | None, told: Mapping[str, Any]) -> bool:
    """The same of a finished request, from `status.webhook` as plain JSON."""
    if not url:
        return False
    is_over = "deliveredTime" in told or "givenUpTime" in told
    # An older CRD drops the hash; whoever was told is not told again and again.
    return not (is_over and told.get("urlHash", url_hash(url)) in ("", url_hash(url)))

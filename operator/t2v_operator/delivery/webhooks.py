"""Tell whoever asked by webhook: what is sent, how it is signed, when it is tried again. Pure.

Signed as Standard Webhooks says (https://www.standardwebhooks.com): any of its libraries verifies
it. At least once: what is sent again has the same webhook-id.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from t2v_api.resource import Phase, TextToVideoJobStatus, WebhookStatus

from t2v_operator.core.webhook import url_hash
from t2v_operator.delivery.signatures import KEY_FILES

ANSWER_SECONDS = 30.0
GIVE_UP = timedelta(hours=24)
"""After the first attempt."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=2)
LONGEST_WISH = timedelta(hours=12)
"""Of a Retry-After; what asks for longer is tried then all the same."""
JITTER = 0.2
SECRET_PREFIX = "whsec_"  # noqa: S105
GONE = 410
"""The receiver wants no more of it."""
DELIVERED, WAITING, REFUSED, GIVEN_UP = "Delivered", "NotDeliveredYet", "Refused", "GivenUp"
"""Reasons of the condition WebhookDelivered."""


class WebhookSecretInvalid(ValueError):
    """A signing secret is none; says how it must look."""


@dataclass(frozen=True)
class WebhookSecrets:
    """What signs: the first one, and while secrets are changed, another."""

    keys: tuple[bytes, ...]

    @classmethod
    def read(cls, secrets: Mapping[str, bytes]) -> "WebhookSecrets":
        """From a Secret's data. Raises WebhookSecretInvalid."""
        found = (secrets.get(name, b"").decode().strip() for name in KEY_FILES)
        return cls(tuple(_secret(text) for text in found if text))

    def headers(self, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
        """Of the request: id, time and signatures."""
        seconds = int(now.timestamp())
        signed = f"{message_id}.{seconds}.".encode() + body
        digests = (hmac.digest(key, signed, hashlib.sha256) for key in self.keys)
        signatures = (f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(signatures),
        }


@dataclass(frozen=True)
class Answer:
    """What came of one attempt."""

    status_code: int | None
    """None: no answer."""
    wish: timedelta | None = None
    """The receiver's Retry-After."""

    @property
    def is_delivered(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


def message_id(uid: str, status: TextToVideoJobStatus, url: str) -> str:
    """The same for every attempt to tell this URL of this end of the resource's request."""
    ended = status.completion_time.isoformat() if status.completion_time else ""
    text = "\n".join((uid, status.request_hash or "", ended, url))
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def payload(status: TextToVideoJobStatus, track_id: str | None) -> bytes:
    """The endpoint's own fields, as JSON."""
    if status.phase is Phase.SUCCEEDED:
        resolved = status.resolved.document() if status.resolved else {}
        document: dict[str, Any] = {
            "status": "success",
            "id": status.id,
            "generationTime": status.generation_time,
            "output": list(status.output),
            "track_id": track_id,
            "meta": _meta(resolved),
        }
    else:
        document = {
            "status": "failed",
            "id": status.id,
            "message": status.message,
            "track_id": track_id,
        }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def after(
    url: str,
    before: WebhookStatus | None,
    answer: Answer,
    now: datetime,
    chance: float,
) -> WebhookStatus:
    """The state after an attempt. `chance`, from 0 to 1, spreads the next ones."""
    same = before is not None and before.url_hash == url_hash(url)
    told = before if same and before else WebhookStatus(url_hash=url_hash(url))
    begun = told.first_attempt_time or now
    fields: dict[str, Any] = {
        "attempts": told.attempts + 1,
        "last_status_code": answer.status_code,
        "first_attempt_time": begun,
        "next_attempt_time": None,
    }
    if answer.is_delivered:
        fields["delivered_time"] = now
    elif answer.status_code == GONE or now - begun >= GIVE_UP:
        fields["given_up_time"] = now
    else:
        fields["next_attempt_time"] = now + _pause(told.attempts, answer, chance)
    return told.model_copy(update=fields)


def told_condition(state: WebhookStatus) -> tuple[Literal["True", "False"], str, str]:
    """Status, reason and message of the condition WebhookDelivered. Never the URL."""
    code = state.last_status_code
    said = f"the last answer was {code}" if code else "no answer"
    if state.delivered_time:
        return "True", DELIVERED, f"taken at attempt {state.attempts}"
    if state.given_up_time:
        why = REFUSED if state.last_status_code == GONE else GIVEN_UP
        return "False", why, f"given up after {state.attempts} attempts; {said}"
    return "False", WAITING, f"{state.attempts} attempts so far; {said}; it is tried again"


def wish_of(header: str | None, now: datetime) -> timedelta | None:
    """A Retry-After header: seconds, or a date."""
    if not header:
        return None
    try:
        return timedelta(seconds=max(0, int(header)))
    except (ValueError, OverflowError):
        pass
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(timedelta(), (date if date.tzinfo else date.replace(tzinfo=UTC)) - now)


def _pause(attempts: int, answer: Answer, chance: float) -> timedelta:
    pause: timedelta = min(FIRST_PAUSE * 2 ** min(attempts, 20), LONGEST_PAUSE)
    pause *= 1 - JITTER + 2 * JITTER * chance
    return max(pause, min(answer.wish, LONGEST_WISH)) if answer.wish else pause


def _meta(resolved: dict[str, Any]) -> dict[str, Any]:
    """The exact inputs, under the endpoint's names."""
    names = {
        "modelId": "model_id",
        "prompt": "prompt",
        "negativePrompt": "negative_prompt",
        "width": "width",
        "height": "height",
        "numFrames": "num_frames",
        "fps": "fps",
        "scheduler": "scheduler",
        "numInferenceSteps": "num_inference_steps",
        "guidanceScale": "guidance_scale",
        "strength": "strength",
        "seed": "seed",
    }
    return {there: resolved[here] for here, there in names.items() if here in resolved}


def _secret(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise WebhookSecretInvalid(
            "a webhook's secret is 'whsec_' and base64, as Standard Webhooks says"
        ) from None

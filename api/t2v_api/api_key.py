"""An API key: what a Secret keeps of it, and what it opens.

The key itself is shown once, when it is made. A Secret in the namespace of keys keeps its
digest: a key has 256 random bits, so one SHA-256 is as good as any slow hash of a password.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from t2v_api.base import ContractModel
from t2v_api.resource import DNS_LABEL, GROUP

KEY_LABEL: Final = f"{GROUP}/api-key"
"""On a Secret that keeps a key, with the key's id; on a resource: the key that it was made with."""
GRANT_ANNOTATION: Final = f"{GROUP}/api-key-grant"
"""On a resource that the gateway made: its signature that the labelled key asked for it."""
DIGEST_FILE: Final = "digest"
RIGHTS_FILE: Final = "key.json"
"""In a key's Secret: the digest in hex, and the ApiKey as JSON."""

RANDOM_BYTES: Final = 32
ID_BYTES: Final = 6
FINGERPRINT_DIGITS: Final = 16
_KEY: Final = re.compile(r"t2v_(?P<id>[0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class Right(StrEnum):
    """What a key may be used for."""

    USE = "use"
    """Make videos, see and delete its own."""
    MODELS = "models"
    """Add and remove VideoModels."""
    OPERATE = "operate"
    """What concerns everybody: the queue, the cache of models, restarts."""


class Quota(ContractModel):
    """How much one key may ask for. Null: as much as it likes."""

    jobs_in_flight: Annotated[int, Field(ge=1)] | None = None
    """Videos that wait or are made at a time."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """HTTP requests, counted by each gateway for itself."""
    gpu_seconds_per_day: Annotated[float, Field(gt=0)] | None = None
    """The seconds of all attempts times the GPUs of each, of videos that ended in the last 24
    hours or have not: failed ones as well, and deleted ones as far as the gateway has seen."""


class ApiKey(ContractModel):
    """What a key opens."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    """Names the key in labels, metrics and logs; says nothing about the key itself."""
    name: str = Field(min_length=1, max_length=63)
    """For people: whose it is."""
    namespace: Annotated[str, Field(max_length=63, pattern=DNS_LABEL)]
    """Where its videos are made."""
    pools: tuple[Annotated[str, Field(max_length=63, pattern=DNS_LABEL)], ...] = ()
    """The GPU pools that it opens, the preferred first. None named: those that need no key."""
    quota: Quota = Quota()
    rights: tuple[Right, ...] = (Right.USE,)
    created: AwareDatetime | None = None


@dataclass(frozen=True, repr=False)
class NewKey:
    """A key just made. `text` is the only place where it stands."""

    id: str
    text: str


def new_key() -> NewKey:
    """A key that nobody can guess."""
    key_id = secrets.token_hex(ID_BYTES)
    return NewKey(key_id, f"t2v_{key_id}_{secrets.token_urlsafe(RANDOM_BYTES)}")


def id_of(text: str) -> str | None:
    """The id in a key; None where this is no key at all."""
    found = _KEY.fullmatch(text)
    return found["id"] if found else None


def digest_of(text: str) -> str:
    """What is kept of a key: SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_of(digest: str) -> str:
    """Tells a key from another one that has its id later on."""
    return digest[:FINGERPRINT_DIGITS]


def opens(text: str, digest: str) -> bool:
    """Whether the key is the one of this digest, in constant time."""
    return hmac.compare_digest(digest_of(text), digest)


def grant(secret: bytes, key_id: str, namespace: str, name: str, request: str) -> str:
    """The gateway's word that the key asked for this request (its hash) under this name."""
    said = "\n".join((key_id, namespace, name, request)).encode()
    return hmac.new(secret, said, hashlib.sha256).hexdigest()

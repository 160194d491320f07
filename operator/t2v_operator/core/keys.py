"""Which API key a resource names, and which GPU pools are open to it. Pure.

Whether a key is known, and what is in a Secret, the shell finds out; a key itself never comes here.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from t2v_api.api_key import GRANT_ANNOTATION, KEY_LABEL, ApiKey, grant
from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import ObjectMeta, SecretKeyReference, TextToVideoJob, TextToVideoJobSpec

from t2v_operator.config import GpuPool, OperatorConfig
from t2v_operator.errors import RequestRefused

NO_EFFECT = "keySecretRef has no effect: this operator does not use API keys (apiKeys.enabled)"


@dataclass(frozen=True)
class Claim:
    """What the gateway writes on a resource that it makes."""

    key_id: str
    signature: str
    """Its word that this key asked for this very request; empty without one."""


@dataclass(frozen=True)
class KeyProblem:
    """Why a resource does not have the key that it names."""

    reason: Reason | Waiting
    """A Reason where it never will have it."""
    message: str

    @property
    def is_final(self) -> bool:
        return isinstance(self.reason, Reason)

    @property
    def is_answered(self) -> bool:
        """Whether the API server has said so; else another look may find the key."""
        return self.reason is not Waiting.NOT_ANSWERED


def key_named(
    metadata: ObjectMeta, spec: TextToVideoJobSpec | None
) -> SecretKeyReference | Claim | None:
    """Where the resource says which key it has; None where it names none.

    The label goes first: with another key beside it, a request would be counted as that one's.
    """
    label = metadata.labels.get(KEY_LABEL)
    if label:
        return Claim(label, metadata.annotations.get(GRANT_ANNOTATION, ""))
    return spec.key_secret_ref if spec else None


def is_granted(
    claim: Claim, metadata: ObjectMeta, spec: TextToVideoJobSpec, secrets: Sequence[bytes]
) -> bool:
    """Whether the gateway signed it, with one of its `secrets`, for this name and request."""
    said = (claim.key_id, metadata.namespace, metadata.name, spec.request_hash)
    given = claim.signature.encode(errors="replace")
    return any(hmac.compare_digest(given, grant(each, *said).encode()) for each in secrets)


def bound(key: ApiKey | None, of_id: str, namespace: str) -> ApiKey | KeyProblem:
    """The key of this id, if there is one and it is for this namespace."""
    if key is None:
        text = f"the API key {of_id} is not known here: it was revoked, or never made"
        return KeyProblem(Reason.KEY_REFUSED, text)
    if key.namespace != namespace:
        text = f"the API key {of_id} ({key.name}) is not for namespace {namespace}"
        return KeyProblem(Reason.KEY_REFUSED, text)
    return key


def key_id(found: ApiKey | KeyProblem | None) -> str:
    """As a Job has it in its label; empty without a key."""
    return found.id if isinstance(found, ApiKey) else ""


def open_pools(
    resource: TextToVideoJob, key: ApiKey | None, config: OperatorConfig
) -> tuple[GpuPool, ...]:
    """The pools that the resource may run in, the preferred first.

    Those that its key names and no others; without such a key, those that need none. Raises
    RequestRefused where that leaves none.
    """
    if not config.api_keys.enabled:
        return config.pools
    if key and key.pools and key.namespace == resource.metadata.namespace:
        by_name = {pool.name: pool for pool in config.pools}
        named = dict.fromkeys(key.pools)
        pools = tuple(by_name[name] for name in named if name in by_name)
    else:
        pools = tuple(pool for pool in config.pools if pool.keys == "optional")
    if not pools:
        raise RequestRefused(Reason.POOL_NEEDS_KEY, _why_none(key))
    return pools


def closed(name: str, key: ApiKey | None) -> RequestRefused:
    """Why the pool that the resource names is not one of the open ones."""
    if key is None:
        text = f"pool {name!r} needs an API key that opens it; name one by keySecretRef"
    else:
        opened = ", ".join(key.pools) or "the pools that need no key"
        text = f"the API key {key.id} ({key.name}) does not open pool {name!r}; it opens {opened}"
    return RequestRefused(Reason.POOL_NEEDS_KEY, text)


def assumed_key(resource: TextToVideoJob, config: OperatorConfig) -> ApiKey | None:
    """Where no cluster can be asked: a key that opens every pool, if the resource names any."""
    if not resource.spec.key_secret_ref:
        return None
    pools = tuple(pool.name for pool in config.pools)
    namespace = resource.metadata.namespace
    return ApiKey(id="0" * 12, name="not looked up", namespace=namespace, pools=pools)


def _why_none(key: ApiKey | None) -> str:
    if key is None:
        return "every GPU pool needs an API key; name one by keySecretRef"
    if not key.pools:
        return f"the API key {key.id} ({key.name}) names no pools, and every GPU pool needs that"
    named = ", ".join(key.pools)
    return f"the API key {key.id} ({key.name}) opens {named}, and no such pool is configured"

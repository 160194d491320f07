"""Which pod a token is bound to: the API server is asked, or its public keys tell.

Whether that pod is still there, and what it may do, is for `callers` to find out.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from t2v_operator.cluster.client import Client

POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
"""Those with a public key: one that is no secret must never be taken for a shared one."""
KEYS_SECONDS = 600.0
"""How long keys are believed; one that was withdrawn is believed no longer than that."""
UNKNOWN_SECONDS = 10.0
"""Between two questions for keys that tokens name and nobody knows."""
LEEWAY_SECONDS = 30.0
"""How far the API server's clock may be from this one."""


@dataclass(frozen=True)
class BoundPod:
    """The pod that a token belongs to."""

    namespace: str
    name: str
    uid: str


class Tokens(Protocol):
    """A way to find out whose a token is."""

    async def pod_of(self, token: str) -> BoundPod | None:
        """None where it is no pod's, or not for us. Raises UNANSWERED."""


class ReviewedTokens:
    """By TokenReview, which takes a right in the whole cluster."""

    def __init__(self, client: Client, audience: str) -> None:
        self._client = client
        self._audience = audience

    async def pod_of(self, token: str) -> BoundPod | None:
        """As the API server says. An authenticator that knows no audiences answers without: no."""
        status = await self._client.review_token(token, self._audience)
        user, audiences = status.get("user"), status.get("audiences")
        if not status.get("authenticated") or not isinstance(user, dict):
            return None
        if not isinstance(audiences, list) or self._audience not in audiences:
            return None
        kind, _, account = str(user.get("username", "")).partition("system:serviceaccount:")
        namespace, _, _ = account.partition(":")
        extra = user.get("extra") or {}
        name, uid = (next(iter(extra.get(each) or ()), "") for each in (POD_NAME, POD_UID))
        return BoundPod(namespace, name, uid) if not kind and namespace and name and uid else None


class VerifiedTokens:
    """By the keys that the API server publishes for service accounts, which every pod may read.

    https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
    """

    def __init__(
        self, client: Client, audience: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._audience = audience
        self._clock = clock
        self._issuer = ""
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read: float | None = None
        self._reading = asyncio.Lock()

    async def pod_of(self, token: str) -> BoundPod | None:
        """As its claims say, where signature, issuer, audience and times are right."""
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "nbf", "iss", "aud"]},
            )
        except jwt.PyJWTError:
            return None
        return _bound(claims.get("kubernetes.io"))

    async def _key(self, name: str) -> jwt.PyJWK | None:
        async with self._reading:
            age = self._clock() - self._read if self._read is not None else KEYS_SECONDS
            if age >= KEYS_SECONDS or (name not in self._keys and age >= UNKNOWN_SECONDS):
                self._issuer, keys = await self._client.token_keys()
                self._keys, self._read = _usable(keys), self._clock()
        return self._keys.get(name)


def _usable(keys: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """By their names; one that this library does not know verifies nothing."""
    found = {}
    for document in keys.get("keys") or ():
        try:
            key = jwt.PyJWK(document)
        except jwt.PyJWTError:
            continue
        if key.key_id and key.algorithm_name in ALGORITHMS:
            found[key.key_id] = key
    return found


def _bound(kubernetes: Any) -> BoundPod | None:
    try:
        pod = kubernetes["pod"]
        names = (kubernetes["namespace"], pod["name"], pod["uid"])
    except (LookupError, TypeError):
        return None
    return BoundPod(*names) if all(isinstance(each, str) and each for each in names) else None

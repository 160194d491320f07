"""Which API key a resource has: read from its Secret, or told by the gateway's signature.

What is read goes nowhere: what is remembered of it, for seconds, is the key's id.
"""

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass

from t2v_api.api_key import KEY_LABEL, ApiKey, id_of
from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import ObjectMeta, SecretKeyReference, TextToVideoJobSpec

from t2v_operator.cluster.api_keys import ApiKeys
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED, ClusterError
from t2v_operator.cluster.kinds import SECRETS
from t2v_operator.cluster.secrets import grant_keys
from t2v_operator.core.keys import Claim, KeyProblem, bound, is_granted, key_named
from t2v_operator.core.observed import Observed
from t2v_operator.delivery.signatures import KeyInvalid

FRESH_SECONDS = 5.0
"""So long a Secret is not read again: many resources name the same one."""
MOST_REMEMBERED = 1000

Place = tuple[str, str, str]
"""Namespace, Secret, key in it."""
Found = ApiKey | KeyProblem


@dataclass(frozen=True)
class _Read:
    """The id of the key in a Secret, or why there is none."""

    found: str | KeyProblem
    until: float


class ResourceKeys:
    """Finds the keys of resources."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        api_keys: ApiKeys,
        gateway_secret: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`namespace` is the operator's own, where the `gateway_secret` is."""
        self._client = client
        self._namespace = namespace
        self._api_keys = api_keys
        self._gateway_secret = gateway_secret
        self._clock = clock
        self._read: dict[Place, _Read] = {}
        self._granting: tuple[float, tuple[bytes, ...]] = (float("-inf"), ())

    async def of(self, observed: Observed, now: bool = False) -> Found | None:
        """The key; None where the resource names none. A Job keeps the key that it was made with.

        `now`: as the API server itself has it at this moment.
        """
        resource, job = observed.resource, observed.job
        if resource.spec is None or resource.is_finished or resource.is_being_deleted:
            return None
        metadata = resource.metadata
        try:
            if job is not None:
                return await self._by_id(job.key, metadata.namespace, now) if job.key else None
            match key_named(metadata, resource.spec):
                case SecretKeyReference() as reference:
                    return await self._referred(reference, metadata.namespace, now)
                case Claim() as claim:
                    return await self._granted(claim, metadata, resource.spec, now)
        except UNANSWERED as error:
            return _unanswered(error)
        return None

    async def _by_id(self, key_id: str, namespace: str, now: bool) -> Found:
        known = self._api_keys.by_id
        key = await self._api_keys.by_id_now(key_id) if now else known(key_id)
        return bound(key, key_id, namespace)

    async def _referred(self, reference: SecretKeyReference, namespace: str, now: bool) -> Found:
        place = (namespace, reference.name, reference.key)
        read = self._read.get(place)
        if read is None or now or self._clock() >= read.until:
            read = _Read(await self._look(place, now), self._clock() + FRESH_SECONDS)
            self._remember(place, read)
        if isinstance(read.found, KeyProblem):
            return read.found
        return await self._by_id(read.found, namespace, now)

    async def _look(self, place: Place, now: bool) -> str | KeyProblem:
        """The id of the key in the Secret: there, the key itself ends."""
        text = await self._text(place)
        if isinstance(text, KeyProblem):
            return text
        key_id = id_of(text)
        if key_id is None:
            message = f"{_called(place)} holds no API key: one begins with t2v_"
            return KeyProblem(Reason.KEY_REFUSED, message)
        known = await self._api_keys.find_now(text) if now else self._api_keys.find(text)
        if known is None:
            message = (
                f"the API key {key_id} in {_called(place)} is not known here: it was revoked, or "
                "is another"
            )
            return KeyProblem(Reason.KEY_REFUSED, message)
        return key_id

    async def _text(self, place: Place) -> str | KeyProblem:
        namespace, name, file = place
        try:
            secret = await self._client.get(SECRETS, namespace, name)
        except ClusterError as error:
            if error.status != 403:
                raise
            message = f"the operator may not read {_called(place)}"
            return KeyProblem(Waiting.KEY_NOT_AVAILABLE, message)
        data = (secret or {}).get("data") or {}
        if file not in data:
            return KeyProblem(Waiting.KEY_NOT_AVAILABLE, f"{_called(place)} is not there")
        try:
            return base64.b64decode(data[file]).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            return ""

    async def _granted(
        self, claim: Claim, metadata: ObjectMeta, spec: TextToVideoJobSpec, now: bool
    ) -> Found:
        try:
            secrets = await self._grant_keys(now)
        except KeyInvalid as error:
            message = f"the operator's own Secret {self._gateway_secret}: {error}"
            return KeyProblem(Waiting.KEY_NOT_AVAILABLE, message)
        if not secrets:
            message = (
                f"the operator's own Secret {self._gateway_secret} is not there: restart the "
                "operator, which makes it, and send the request again"
            )
            return KeyProblem(Waiting.KEY_NOT_AVAILABLE, message)
        if not is_granted(claim, metadata, spec, secrets):
            message = (
                f"the gateway did not sign this request for the API key {claim.key_id}; remove the "
                f"label {KEY_LABEL} and name a key by keySecretRef, or make it by the gateway"
            )
            return KeyProblem(Reason.KEY_REFUSED, message)
        return await self._by_id(claim.key_id, metadata.namespace, now)

    async def _grant_keys(self, now: bool) -> tuple[bytes, ...]:
        until, keys = self._granting
        if now or self._clock() >= until:
            keys = await grant_keys(self._client, self._namespace, self._gateway_secret)
            self._granting = self._clock() + FRESH_SECONDS, keys
        return keys

    def _remember(self, place: Place, read: _Read) -> None:
        self._read.pop(place, None)
        self._read[place] = read
        if len(self._read) > MOST_REMEMBERED:
            del self._read[next(iter(self._read))]


def _called(place: Place) -> str:
    return f"{place[2]!r} of Secret {place[1]}"


def _unanswered(error: Exception) -> KeyProblem:
    """Without its words: nobody knows what they quote."""
    what = f"{error.status} {error.reason}" if isinstance(error, ClusterError) else "nothing"
    message = f"the API key cannot be read: the API server answers {what}; it is tried again"
    return KeyProblem(Waiting.NOT_ANSWERED, message)

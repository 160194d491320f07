"""Every API key, from a watch of the Secrets that keep them: what the operator and the gateway ask.

A Secret that is deleted, or is being deleted, opens nothing from the moment that the watch tells
it. Keeps digests alone; the neighbour that finds the key of a resource is `resource_keys`.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from t2v_api.api_key import KEY_LABEL, ApiKey, fingerprint_of, id_of, opens

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import SECRETS
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.store import Key, Store
from t2v_operator.core.job import Manifest
from t2v_operator.core.key_secret import HeldKey, KeySecretInvalid, read_key_secret

WATCH_SECONDS = (4, 5)
SILENCE_SECONDS = 6.0
"""A revoked key is refused within ten seconds, though a connection died without a word: each watch
is so short that one which says nothing for longer has ended."""
GOING = "it is being deleted"

logger = logging.getLogger("t2v_operator")


@dataclass(frozen=True)
class _Damaged:
    """A Secret that keeps no key, and why not."""

    complaint: str


class ApiKeys:
    """The keys of one namespace."""

    def __init__(
        self, client: Client, namespace: str, news: Callable[[str], None] = lambda _: None
    ) -> None:
        """`news` is told the id of a key that came, changed or went."""
        self._client = client
        self._namespace = namespace
        self._told = news
        self._secrets: Store[HeldKey | _Damaged] = Store(_read, self._index, self._tell)
        self._by_id: defaultdict[str, dict[Key, HeldKey]] = defaultdict(dict)
        self.reflectors = [
            Reflector(
                client,
                SECRETS,
                namespace,
                self._secrets,
                KEY_LABEL,
                watch_seconds=WATCH_SECONDS,
                silence_seconds=SILENCE_SECONDS,
            )
        ]

    async def run(self) -> None:
        """Keep them in step with the API server until cancelled."""
        await self.reflectors[0].run()

    async def wait_until_full(self) -> None:
        """Until then no key is known."""
        await self.reflectors[0].wait_until_full()

    @property
    def is_full(self) -> bool:
        return self.reflectors[0].is_full

    def find(self, text: str) -> ApiKey | None:
        """What this key opens; None where it is none of ours. The compare takes constant time."""
        return _opened(text, self._held(id_of(text)))

    def by_id(self, key_id: str) -> ApiKey | None:
        """What the key of this id opens; None where there is none, or Secrets contradict."""
        return _agreed(self._held(key_id))

    def fingerprint(self, key_id: str) -> str:
        """Of the key of this id (`t2v_api.api_key.fingerprint_of`); empty where there is none."""
        held = self._held(key_id)
        return fingerprint_of(held[0].digest) if _agreed(held) else ""

    async def find_now(self, text: str) -> ApiKey | None:
        """As `find`, of what the API server itself says. Raises what a request can end with."""
        return _opened(text, await self._list(id_of(text)))

    async def by_id_now(self, key_id: str) -> ApiKey | None:
        """As `by_id`, of what the API server itself says. Raises what a request can end with."""
        return _agreed(await self._list(key_id))

    def _held(self, key_id: str | None) -> list[HeldKey]:
        return list(self._by_id.get(key_id or "", {}).values())

    async def _list(self, key_id: str | None) -> list[HeldKey]:
        if key_id is None:
            return []
        selector = f"{KEY_LABEL}={key_id}"
        answer = await self._client.list(SECRETS, self._namespace, labelSelector=selector)
        return [each for each in map(_read, answer["items"]) if isinstance(each, HeldKey)]

    def _index(
        self, key: Key, before: HeldKey | _Damaged | None, after: HeldKey | _Damaged | None
    ) -> None:
        if isinstance(before, HeldKey):
            held = self._by_id[before.key.id]
            held.pop(key, None)
            if not held:
                del self._by_id[before.key.id]
        if isinstance(after, HeldKey):
            self._by_id[after.key.id][key] = after

    def _tell(
        self, key: Key, before: HeldKey | _Damaged | None, after: HeldKey | _Damaged | None
    ) -> None:
        if before == after:
            return
        if isinstance(after, _Damaged) and after.complaint != GOING:
            logger.warning("Secret %s/%s keeps no API key: %s", *key, after.complaint)
        for key_id in {each.key.id for each in (before, after) if isinstance(each, HeldKey)}:
            self._told(key_id)


def _read(secret: Manifest) -> HeldKey | _Damaged:
    if "deletionTimestamp" in secret["metadata"]:
        return _Damaged(GOING)
    try:
        return read_key_secret(secret)
    except KeySecretInvalid as error:
        return _Damaged(str(error))


def _opened(text: str, held: Iterable[HeldKey]) -> ApiKey | None:
    found = [each.key for each in held if opens(text, each.digest)]
    return found[0] if found else None


def _agreed(held: list[HeldKey]) -> ApiKey | None:
    """None where two Secrets say different things of one id: nobody knows which is right."""
    return held[0].key if held and all(each == held[0] for each in held) else None

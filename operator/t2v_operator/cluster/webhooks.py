"""Tell whoever asked by webhook, from the leader alone; how far it is stands on the status.

A receiver that is dead or slow takes a few workers for its own, never all of them.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime

from t2v_api.resource import Condition, TextToVideoJobStatus
from t2v_api.web_address import AddressRefused, read_web_address

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.effects import put_status
from t2v_operator.cluster.errors import ClusterError, NotLeader
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.cluster.log_fields import about
from t2v_operator.cluster.store import Key
from t2v_operator.cluster.work_queue import WorkQueue
from t2v_operator.core.observe import observe_resource
from t2v_operator.core.observed import ObservedResource, Settled
from t2v_operator.core.webhook import is_due, url_hash
from t2v_operator.delivery.public_http import NotReached, PublicClient
from t2v_operator.delivery.webhooks import (
    ANSWER_SECONDS,
    Answer,
    WebhookSecrets,
    after,
    message_id,
    payload,
    told_condition,
    wish_of,
)

WORKERS = 64
MOST_AT_ONE_RECEIVER, MOST_OF_ONE_NAMESPACE = 4, 16
"""Attempts at a time: neither a dead receiver nor a tenant takes all workers."""
RECORD_TRIES = 10
DELIVERED_CONDITION = "WebhookDelivered"
USER_AGENT = "text-to-video-operator"

logger = logging.getLogger("t2v_operator")


class WebhookSender:
    """The webhooks that are still to be sent."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        public: PublicClient,
        secrets: Callable[[], Awaitable[WebhookSecrets]],
        clock: Callable[[], datetime],
        ended: Callable[[Key], None],
        tried: Callable[[ObservedResource, TextToVideoJobStatus], None] = lambda *_: None,
    ) -> None:
        """`secrets` is asked when the first webhook is sent.

        `ended` hears of each resource whose webhook was delivered or given up, `tried` of each
        attempt, with the status that tells it.
        """
        self._client = client
        self._cache = cache
        self._public = public
        self._read_secrets = secrets
        self._secrets: WebhookSecrets | None = None
        self._clock = clock
        self._ended = ended
        self._tried = tried
        self._under_way: Counter[str] = Counter()
        self._held: dict[Key, tuple[str, ...]] = {}
        """Whose receiver or namespace has enough attempts under way, in order."""
        self._answers: dict[Key, tuple[str, Answer]] = {}
        """What was answered and is not written down yet, by the message's id."""
        self._queue: WorkQueue[Key] = WorkQueue(self._work, self._told)

    @property
    def backlog(self) -> int:
        """How many are to be delivered, now or later."""
        return self._queue.known + len(self._held)

    def consider(self, key: Key) -> None:
        """Look whether somebody is to be told of this resource's end."""
        resource = self._cache.resources.get(key)
        if isinstance(resource, Settled):
            is_wanted = resource.webhook_is_due
        else:
            is_wanted = resource is not None and _is_due(resource)
        if is_wanted:
            self._queue.add(key)

    async def run(self) -> None:
        """Send until cancelled."""
        await self._queue.run(WORKERS)

    async def _work(self, key: Key) -> float | None:
        """One attempt, if it is due. Returns the seconds until the next one is."""
        try:
            return await self._attempt(key)
        finally:
            self._let_begin()

    async def _attempt(self, key: Key) -> float | None:
        resource = await self._read(key)
        if resource is None or not _is_due(resource):
            self._answers.pop(key, None)
            return None
        spec, status = resource.spec, resource.status
        assert spec
        assert spec.webhook
        assert status
        identity = message_id(resource.metadata.uid, status, spec.webhook)
        sent, answer = self._answers.get(key, ("", None))
        if sent != identity or answer is None:
            left = _seconds_left(status, spec.webhook, self._clock())
            if left > 0:
                return left
            shares = (_receiver(spec.webhook), f"namespace {key[0]}")
            if any(self._under_way[each] >= _most(each) for each in shares):
                self._held[key] = shares
                return None
            self._under_way.update(shares)
            try:
                answer = await self._send(resource, status, spec.webhook, identity)
            finally:
                self._under_way.subtract(shares)
                self._let_begin()
            # Until it is written down it is known here: a refused write sends nothing again.
            self._answers[key] = identity, answer
        again = await self._record(key, resource, spec.webhook, answer)
        self._answers.pop(key, None)
        return again

    def _let_begin(self) -> None:
        """Those that were held and have room now, the first ones first."""
        self._under_way = +self._under_way
        room = Counter({share: _most(share) - n for share, n in self._under_way.items()})
        begin = []
        for key, shares in self._held.items():
            if all(room.get(share, 1) > 0 for share in shares):
                begin.append(key)
                for share in shares:
                    room[share] = room.get(share, _most(share)) - 1
            if len(begin) >= WORKERS:
                break
        for key in begin:
            del self._held[key]
            self._queue.add(key)

    async def _read(self, key: Key) -> ObservedResource | None:
        document = await self._client.get(RESOURCES, *key)
        return observe_resource(document) if document else None

    async def _send(
        self, resource: ObservedResource, status: TextToVideoJobStatus, url: str, identity: str
    ) -> Answer:
        if self._secrets is None:
            self._secrets = await self._read_secrets()
        spec, now = resource.spec, self._clock()
        assert spec
        body = payload(status, spec.track_id)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            **self._secrets.headers(identity, body, now),
        }
        began = time.monotonic()
        try:
            code, wish = await self._public.post(url, body, headers, ANSWER_SECONDS)
            answer = Answer(code, wish_of(wish, now) if code >= 300 else None)
            said = str(code)
        except (NotReached, AddressRefused) as error:
            # An address of today may be another one tomorrow: it is tried again, like the rest.
            answer, said = Answer(None), type(error).__name__
        logger.info(
            "%s/%s: webhook %s: %s after %.1f s",
            resource.metadata.namespace,
            resource.metadata.name,
            identity,
            said,
            time.monotonic() - began,
            extra=about((resource.metadata.namespace, resource.metadata.name), status),
        )
        return answer

    async def _record(
        self, key: Key, resource: ObservedResource, url: str, answer: Answer
    ) -> float | None:
        """Write the attempt down, whatever else changes the status meanwhile."""
        found: ObservedResource | None = resource
        for _ in range(RECORD_TRIES):
            if found is None or not _is_about(found, resource, url):
                return 0.0 if found and _is_due(found) else None
            assert found.status
            now = self._clock()
            state = after(url, found.status.webhook, answer, now, random.random())  # noqa: S311
            status = found.status.model_copy(update={"webhook": state})
            status = status.model_copy(update={"conditions": _conditions(status, now)})
            try:
                written = await put_status(self._client, found.metadata, status)
            except ClusterError as error:
                if error.status != 409:
                    raise
                await asyncio.sleep(0.05)
                found = await self._read(key)
                continue
            if written is None:
                return None
            self._cache.resources.wrote(written)
            self._tried(found, status)
            if state.next_attempt_time:
                return _seconds_left(status, url, now)
            self._ended(key)
            return None
        raise ClusterError(409, "Conflict", "the status changes all the time")

    def _told(self, key: Key, error: Exception, delay: float) -> None:
        level = logging.DEBUG if isinstance(error, NotLeader) else logging.WARNING
        text = str(error) if isinstance(error, ClusterError) else type(error).__name__
        words = "%s/%s: its webhook: %s; again in %.1f s"
        logger.log(level, words, *key, text, delay, extra=about(key))


def _is_due(resource: ObservedResource) -> bool:
    spec = resource.spec
    is_whole = resource.status is not None and bool(resource.status.conditions)
    return (
        is_whole
        and spec is not None
        and not resource.is_being_deleted
        and resource.is_finished
        and is_due(spec.webhook, resource.status)
    )


def _is_about(found: ObservedResource, told: ObservedResource, url: str) -> bool:
    """Whether it is still the same request, with the same URL to tell."""
    same = found.metadata.uid == told.metadata.uid and found.request_hash == told.request_hash
    return same and _is_due(found) and found.spec is not None and found.spec.webhook == url


def _seconds_left(status: TextToVideoJobStatus, url: str, now: datetime) -> float:
    told = status.webhook
    if told is None or told.next_attempt_time is None or told.url_hash != url_hash(url):
        return 0.0
    return max(0.0, (told.next_attempt_time - now).total_seconds())


def _conditions(status: TextToVideoJobStatus, now: datetime) -> tuple[Condition, ...]:
    """The same ones, with WebhookDelivered as it is now, at the end."""
    assert status.webhook
    holds, reason, message = told_condition(status.webhook)
    before = next((c for c in status.conditions if c.type == DELIVERED_CONDITION), None)
    since = before.last_transition_time if before and before.status == holds else now
    condition = Condition(
        type=DELIVERED_CONDITION,
        status=holds,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=status.observed_generation,
    )
    others = (c for c in status.conditions if c.type != DELIVERED_CONDITION)
    return (*others, condition)


def _most(share: str) -> int:
    return MOST_OF_ONE_NAMESPACE if share.startswith("namespace ") else MOST_AT_ONE_RECEIVER


def _receiver(url: str) -> str:
    try:
        address = read_web_address(url)
    except AddressRefused:
        return url
    return f"{address.host}:{address.port}"

"""Keep a store in step with the API server: a list in pages, then a watch, for ever.

The model is client-go's reflector. It lives through anything: a lost connection is taken up where
it broke, a silent one is given up, a watch that is too old begins anew with a list, and what went
meanwhile is swept from the store.
"""

import asyncio
import logging
import random
import time
from typing import Any

from aiohttp import ClientError

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import Kind
from t2v_operator.cluster.store import Scope, Store

PAGE = 500
"""Objects a page."""
WATCH_SECONDS = (240, 360)
"""The server ends a watch after a time between these: not all of them at once."""
CATCH_UP_SECONDS = 3
"""Two seconds before a watch ends the API server sends a bookmark."""
SILENCE_SECONDS = 90.0
"""The API server sends a bookmark each minute; a watch that says nothing for longer is dead."""
FIRST_PAUSE_SECONDS = 0.2
LAST_PAUSE_SECONDS = 10.0

logger = logging.getLogger("t2v_operator")


class WatchTooOld(Exception):
    """The API server does not know any more what came after the position; list again."""


class Reflector:
    """One kind in one namespace, or in all."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        scope: Scope,
        store: Store[Any],
        label_selector: str | None = None,
        watch_seconds: tuple[int, int] = WATCH_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.kind = kind
        self._client = client
        self.scope = scope
        self._store = store
        self._selector = {"labelSelector": label_selector} if label_selector else {}
        self._watch_seconds = watch_seconds
        self._silence_seconds = silence_seconds
        self._position: str | None = None
        self._listed = asyncio.Event()
        self._watched = 0
        self.heard = time.monotonic()
        """When the API server last said something about this kind."""
        self.tried = time.monotonic()
        """When it was last asked, or heard: a task that hangs stops saying even that."""

    @property
    def is_full(self) -> bool:
        """Whether the first list is in the store."""
        return self._listed.is_set()

    async def wait_until_full(self) -> None:
        await self._listed.wait()

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            watched = self._watched
            self.tried = time.monotonic()
            try:
                if self._position is None:
                    await self._list()
                await self._watch()
                if self._watched > watched:
                    pause = FIRST_PAUSE_SECONDS
                    continue
            except WatchTooOld as error:
                logger.info("%s are listed anew: %s", self.kind.plural, error)
                self._position = None
            except (ClientError, ClusterError, TimeoutError, OSError) as error:
                logger.info("the watch of %s broke: %s", self.kind.plural, _short(error))
            except (ValueError, LookupError, TypeError) as error:
                # Something in between answered in the API server's place.
                logger.warning("%s cannot be read: %s", self.kind.plural, _short(error))
                self._position = None
            if self._watched > watched:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    async def catch_up(self, position: int) -> None:
        """Let the store come nearer to `position`, though nothing of this kind may happen for long.

        A second, short watch from where the store is: it brings what the first one brings, and
        ends with a bookmark. Raises what a watch raises.
        """
        if (reached := self._store.position(self.scope or "")) >= position:
            return
        params = {
            "resourceVersion": str(reached),
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(CATCH_UP_SECONDS),
            **self._selector,
        }
        async for event in self._client.watch(self.kind, self.scope, SILENCE_SECONDS, **params):
            _raise_error(event)
            self._store.event(event["type"], event["object"], self.scope)

    async def _list(self) -> None:
        seen: dict[tuple[str, str], int] = {}
        params = {"limit": str(PAGE), **self._selector}
        while True:
            answer = await self._client.list(self.kind, self.scope, **params)
            position = answer["metadata"]["resourceVersion"]
            seen |= self._store.page(answer["items"], int(position), self.scope)
            self._hear()
            token = answer["metadata"].get("continue")
            if not token:
                break
            params["continue"] = token
        self._store.sweep(seen, int(position), self.scope)
        self._position = position
        self._listed.set()

    async def _watch(self) -> None:
        assert self._position
        params = {
            "resourceVersion": self._position,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*self._watch_seconds)),  # noqa: S311
            **self._selector,
        }
        try:
            events = self._client.watch(self.kind, self.scope, self._silence_seconds, **params)
            async for event in events:
                self._take(event)
        except ClusterError as error:
            if error.status == 410 or "resource version" in error.message:
                raise WatchTooOld(error.message) from None
            raise

    def _take(self, event: dict[str, Any]) -> None:
        self._hear()
        _raise_error(event)
        document = event["object"]
        self._watched += 1
        self._store.event(event["type"], document, self.scope)
        self._position = document["metadata"]["resourceVersion"]

    def _hear(self) -> None:
        self.heard = self.tried = time.monotonic()


def _raise_error(event: dict[str, Any]) -> None:
    """What ends a watch comes as an event."""
    if event["type"] != "ERROR":
        return
    status = event["object"] if isinstance(event["object"], dict) else {}
    message = str(status.get("message", "the watch ended with an error"))
    if status.get("code") == 410:
        raise WatchTooOld(message)
    raise ClusterError(status.get("code", 0), status.get("reason", ""), message)


def _short(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()[:300]

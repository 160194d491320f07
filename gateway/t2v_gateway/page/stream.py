"""What changes while a page is open, as server-sent events. Nothing is remembered between two.

Each begins with `hello`: whoever lost the stream asks for the list again, on whichever replica.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import orjson
from t2v_api.api_key import ApiKey
from t2v_operator.cluster.store import Key

from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.page.cards import card_of, state_of
from t2v_gateway.page.glance import Glance, own
from t2v_gateway.page.sessions import Session
from t2v_gateway.videos import Video

PAUSE_SECONDS = 1.0
"""Between two events: what changes more often is told together."""
HEARTBEAT_SECONDS = 5.0
"""Of silence; then a comment says that the connection lives, and the key is looked at again."""
RETRY_MILLISECONDS = 2000
MOST_CARDS = 100
"""Of more that changed at once the page asks for the list."""
MOST_STREAMS = 50
"""Of one key, on one replica."""


class Streams:
    """Every open page's events."""

    def __init__(
        self,
        gateway: Gateway,
        glance: Glance,
        pause: float = PAUSE_SECONDS,
        heartbeat: float = HEARTBEAT_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._gateway = gateway
        self._glance = glance
        self._pause = pause
        self._heartbeat = heartbeat
        self._now = now
        self._open: Counter[str] = Counter()

    def check(self, key: ApiKey) -> None:
        """Raises Refused where too many are open."""
        if self._open[key.id] >= MOST_STREAMS:
            raise Refused(429, f"{MOST_STREAMS} pages of this key are open", retry_after=30)

    async def events(self, session: Session) -> AsyncIterator[bytes]:
        """Until the browser goes, the session ends, its key is revoked, or the process ends."""
        self._open[session.key_id] += 1
        try:
            async for event in self._events(session):
                yield event
        finally:
            self._open[session.key_id] -= 1

    async def _events(self, session: Session) -> AsyncIterator[bytes]:
        with self._gateway.videos.changes() as changed:
            shown: _Shown | None = None
            seen: dict[str, Any] = {}
            while not self._gateway.videos.is_closed:
                names = changed.take()
                key = self._key(session)
                if key is None:
                    yield _event("bye", {})
                    return
                if shown and shown.namespace != key.namespace:
                    return  # the page begins anew
                is_first, news = shown is None, b""
                if shown is None:
                    shown = _Shown(self._gateway, key)
                else:
                    news = shown.news(names)
                looks = self._glance.of(key, shown.states)
                if is_first:
                    yield f"retry: {RETRY_MILLISECONDS}\n".encode() + _event("hello", looks)
                if news:
                    yield news
                if looks != seen and not is_first:
                    yield _event("glance", looks)
                seen = looks
                await asyncio.sleep(self._pause)
                try:
                    async with asyncio.timeout(self._heartbeat):
                        await changed.wait()
                except TimeoutError:
                    yield b": still here\n\n"

    def _key(self, session: Session) -> ApiKey | None:
        """What the session's key opens now."""
        if self._now() >= session.ends:
            return None
        try:
            callers = self._gateway.callers
            return callers.known_by_id(session.key_id, session.fingerprint, counts=False)
        except Refused:
            return None


class _Shown:
    """A key's videos as an open page knows them. Only what changes is looked at again."""

    def __init__(self, gateway: Gateway, key: ApiKey) -> None:
        self._gateway = gateway
        self._key_id = key.id
        self.namespace = key.namespace
        self._videos = {video.key: video for video in own(gateway, key)}
        self.states = Counter(map(state_of, self._videos.values()))

    def news(self, names: Iterable[Key]) -> bytes:
        """What is to be told of videos; empty where nothing is."""
        changed: list[Video] = []
        gone: list[str] = []
        for name in names:
            before, after = self._videos.pop(name, None), self._own(name)
            if after is not None:
                self._videos[name] = after
                if after is not before:
                    changed.append(after)
            elif before is not None:
                gone.append(str(before.id))
            self.states.subtract(map(state_of, filter(None, (before,))))
            self.states.update(map(state_of, filter(None, (after,))))
        if len(changed) > MOST_CARDS:
            return _event("many", {})
        if not changed and not gone:
            return b""
        return _event("videos", {"videos": [card_of(each) for each in changed], "gone": gone})

    def _own(self, name: Key) -> Video | None:
        video = self._gateway.videos.get(name)
        if video is None or video.key_id != self._key_id or video.namespace != self.namespace:
            return None
        return None if video.is_being_deleted else video


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"

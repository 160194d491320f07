"""What changes while a page is open, as server-sent events. Nothing is remembered between two.

Each begins with `hello`: whoever lost the stream asks for the list again, on whichever replica.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import orjson
from t2v_api.api_key import ApiKey
from t2v_operator.cluster.store import Key

from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.page.cards import card_of
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
            told: Mapping[Key, Video] | None = None
            seen: dict[str, Any] = {}
            while not self._gateway.videos.is_closed:
                changed.clear()
                key = self._key(session)
                if key is None:
                    yield _event("bye", {})
                    return
                there = {video.key: video for video in own(self._gateway, key)}
                looks = self._glance.of(key)
                if told is None:
                    yield f"retry: {RETRY_MILLISECONDS}\n".encode() + _event("hello", looks)
                elif news := _news(told, there):
                    yield news
                if told is not None and looks != seen:
                    yield _event("glance", looks)
                told, seen = there, looks
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


def _news(told: Mapping[Key, Video], there: Mapping[Key, Video]) -> bytes:
    """What is to be told of videos; empty where nothing is."""
    changed = [video for name, video in there.items() if told.get(name) is not video]
    gone = [str(video.id) for name, video in told.items() if name not in there]
    if len(changed) > MOST_CARDS:
        return _event("many", {})
    if not changed and not gone:
        return b""
    return _event("videos", {"videos": [card_of(each) for each in changed], "gone": gone})


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"

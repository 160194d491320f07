"""A queue of keys to work on: each once however often it is added, never twice at a time.

The model is client-go's workqueue; knows nothing of what the keys mean.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 60.0
MOST_DOUBLINGS = 10

logger = logging.getLogger(__name__)


class WorkQueue(Generic[Key]):
    """Keys whose work is done by some workers; work that fails is tried again, later and later."""

    def __init__(self, work: Callable[[Key], Awaitable[float | None]]) -> None:
        """`work` does what a key asks for and returns the seconds until it is due again."""
        self._work = work
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._working: set[Key] = set()
        self._added_meanwhile: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Let the key's work be done soon. Call it from the event loop's thread."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._working:
            self._added_meanwhile.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    async def run(self, workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._run_worker())

    async def _run_worker(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._working.add(key)
            try:
                due_seconds = await self._do(key)
            finally:
                self._working.discard(key)
            if key in self._added_meanwhile:
                self._added_meanwhile.discard(key)
                self.add(key)
            elif due_seconds is not None:
                loop = asyncio.get_running_loop()
                self._timers[key] = loop.call_later(due_seconds, self.add, key)

    async def _do(self, key: Key) -> float | None:
        try:
            due_seconds = await self._work(key)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            doublings = min(failures - 1, MOST_DOUBLINGS)
            delay: float = min(FIRST_RETRY_SECONDS * 2**doublings, LAST_RETRY_SECONDS)
            logger.warning(
                "%s: %s: %s; again in %.1f s", key, type(error).__name__, _short(error), delay
            )
            logger.debug("in full", exc_info=error)
            return delay
        self._failures.pop(key, None)
        return due_seconds


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

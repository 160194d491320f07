"""A queue of keys to work on: each once however often it is added, never twice at a time.

The model is client-go's workqueue; knows nothing of what the keys mean.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 15.0
"""Unless the error has `longest_seconds` of its own."""
MOST_DOUBLINGS = 10
JITTER = 0.1
"""What is due in minutes comes that part later at random, so that not all of it comes at once."""


class WorkQueue(Generic[Key]):
    """Keys whose work is done by some workers; work that fails is tried again, later and later."""

    def __init__(
        self,
        work: Callable[[Key], Awaitable[float | None]],
        told: Callable[[Key, Exception, float], None] = lambda *_: None,
    ) -> None:
        """`work` does what a key asks for and returns the seconds until it is due again.

        `told` hears of work that failed, and in how many seconds it is tried again.
        """
        self._work = work
        self._told = told
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._working: set[Key] = set()
        self._added_meanwhile: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Let the key's work be done at once. Call it from the event loop's thread."""
        self.forget(key)
        if key in self._working:
            self._added_meanwhile.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_later(self, key: Key, seconds: float) -> None:
        """Let the key's work be done after that time, unless it is done sooner anyway."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if key in self._waiting or (timer and timer.when() <= loop.time() + seconds):
            return
        if timer:
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._fire, key)

    def forget(self, key: Key) -> None:
        """Let nothing be done later."""
        if timer := self._timers.pop(key, None):
            timer.cancel()

    @property
    def depth(self) -> int:
        """How many keys wait for a worker."""
        return len(self._waiting)

    @property
    def known(self) -> int:
        """How many keys wait, are worked on, or are due later."""
        return len(self._waiting | self._working | self._timers.keys())

    def _fire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

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
                later = random.uniform(0, JITTER * due_seconds) if due_seconds > 60 else 0  # noqa: S311
                self.add_later(key, due_seconds + later)
            # Looks that ask nobody would let nothing else run while there are more of them.
            await asyncio.sleep(0)

    async def _do(self, key: Key) -> float | None:
        try:
            due_seconds = await self._work(key)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            doublings = min(failures - 1, MOST_DOUBLINGS)
            longest = getattr(error, "longest_seconds", LAST_RETRY_SECONDS)
            delay: float = min(FIRST_RETRY_SECONDS * 2**doublings, longest)
            self._told(key, error, delay)
            return delay
        self._failures.pop(key, None)
        return due_seconds

"""Decide which snapshots become checkpoints: every few minutes, at the end of the denoising, at a
stop and at a failure. Knows nothing of the store."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from t2v_runner.checkpoints.file import Circumstances, NotUsable, read, write
from t2v_runner.checkpoints.stepping import Snapshot

LATENTS_SECONDS = 60.0
"""Finished latents are saved at once where so much work would be lost: a decoding may be killed."""
REMOVE_SECONDS = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keeping:
    """Where the checkpoint of one video stands, and how often it is made."""

    path: Path
    part: Path
    """Where it is written."""
    every_seconds: float


class Keeper:
    """Takes in a snapshot at each step and saves some. Thread-safe.

    Files are written in a thread of its own: no step waits for a disk.
    """

    def __init__(
        self,
        keeping: Keeping,
        saved: Callable[[], bool] = lambda: True,
        latents_seconds: float = LATENTS_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`saved` is called after each checkpoint, in the thread that has written it.

        It says whether that is where it belongs; else it is asked again with the next one, or at
        a stop.
        """
        self.keeping = keeping
        self.step: int | None = None
        """The step that this run went on from."""
        self.ignored = ""
        """Why it did not go on from what it found."""
        self._saved = saved
        self._latents_seconds = min(latents_seconds, keeping.every_seconds)
        self._monotonic = monotonic
        self._circumstances: Circumstances | None = None
        self._is_exact = True
        self._latest: tuple[Snapshot, ...] = ()
        self._saved_step = 0
        self._since = monotonic()
        self._news = threading.Condition()
        self._writing = threading.Lock()
        self._is_due = self._is_owed = self._ends = False
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._ends = True
            self._news.notify()

    def under(self, circumstances: Circumstances) -> "Keeper":
        """What comes is drawn so."""
        with self._news:
            self._circumstances, self._latest = circumstances, ()
        return self

    def begin(self, is_exact: bool = True) -> Snapshot | None:
        """A denoising begins. What it can go on from, if there is anything.

        `is_exact`: False where a denoiser remembers earlier steps, which no snapshot does; then
        finished latents alone are kept.
        """
        assert self._circumstances is not None
        self._is_exact, self._latest = is_exact, ()
        self._saved_step, self._since = 0, self._monotonic()
        self.step = None
        try:
            found = read(self.keeping.path, self._circumstances)
        except FileNotFoundError:
            return None
        except (NotUsable, OSError) as error:
            why = error.strerror or "unreadable" if isinstance(error, OSError) else str(error)
            self.ignore(f"a checkpoint was not used: {why}")
            return None
        self.step, self._saved_step = found.step, found.step + found.is_last
        return found

    def ignore(self, why: str) -> None:
        """What was found is of no use."""
        logger.warning("%s", why)
        self.ignored, self.step, self._saved_step = why, None, 0
        self._latest = ()

    def keep(self, snapshot: Snapshot) -> None:
        """The latest one; the one before, too: a GPU may be a step behind."""
        with self._news:
            self._latest = (*self._latest[-1:], snapshot)
            if self._is_exact and self._left_seconds(self.keeping.every_seconds) <= 0:
                self._wake()

    def denoised(self) -> None:
        """The last snapshot holds finished latents."""
        with self._news:
            if not self._latest or self._latest[-1].is_last:
                return
            self._latest = (replace(self._latest[-1], is_last=True),)
            if self._left_seconds(self._latents_seconds) <= 0:
                self._wake()

    def lose(self, why: str) -> None:
        """There are no snapshots."""
        logger.warning("no checkpoint can be made of this model's steps: %s", why)

    def passed_on(self) -> None:
        """Another process has written a checkpoint."""
        with self._news:
            self._is_due = self._is_owed = True
            self._news.notify()

    def save_now(self) -> None:
        """What is not saved yet is, when this returns; a fault is logged."""
        self._save()

    def remove(self) -> None:
        """The video is there."""
        with self._news:
            self._ends, self._is_owed, self._latest = True, False, ()
        # What is on its way to the store has been given up, and may wait for an answer.
        has_ended = self._writing.acquire(timeout=REMOVE_SECONDS)
        with contextlib.suppress(OSError):
            self.keeping.path.unlink(missing_ok=True)
        if has_ended:
            self._writing.release()

    def _left_seconds(self, every: float) -> float:
        return self._since + every - self._monotonic()

    def _wake(self) -> None:
        self._since = self._monotonic()
        self._is_due = True
        self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._is_due or self._ends)
                if self._ends:
                    return
                self._is_due = False
            self._save()

    def _save(self) -> None:
        with self._writing:
            self._write()
            if self._is_owed:
                self._is_owed = False  # first: another one may come meanwhile
                if not self._saved():
                    self._is_owed = True

    def _write(self) -> None:
        snapshot = self._newest()
        if snapshot is None or self._circumstances is None:
            return
        try:
            write(snapshot.wait(), self._circumstances, self.keeping.part, self.keeping.path)
        except Exception as error:  # a GPU that fails says so in many ways
            logger.warning("no checkpoint: %s: %s", type(error).__name__, error)
            return
        self._saved_step = snapshot.step + snapshot.is_last
        self._is_owed = True
        logger.info("step %d is kept", snapshot.step)

    def _newest(self) -> Snapshot | None:
        """The newest that is there and not saved."""
        with self._news:
            snapshots = [
                each
                for each in self._latest
                if each.step + each.is_last > self._saved_step and (self._is_exact or each.is_last)
            ]
        there = [each for each in snapshots if _is_there(each)]
        if there:
            return there[-1]
        return snapshots[0] if snapshots else None


def _is_there(snapshot: Snapshot) -> bool:
    try:
        return snapshot.is_there
    except RuntimeError:
        return False

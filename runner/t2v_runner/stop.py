"""Ask the runner to stop, by SIGTERM or SIGINT.

The work looks for it between its steps; where it is told to, the signal also breaks in, whatever
the main thread is doing. Imports nothing large: it listens before anything else happens.
"""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SIGNALS = (signal.SIGTERM, signal.SIGINT)
RESCUE_SECONDS = 2.0
"""After that the rescue begins, beside a main thread that does not come out of a library's code."""
END_SECONDS = 8.0
"""After that the process ends, whatever it does: users are promised ten."""
STOPPED = 143
WORDS = "stopped by a signal before it was done"


class Interrupted(BaseException):
    """A signal broke in. No Exception: libraries are not to take it for a fault of theirs."""


class StopSignal:
    """Whether somebody asked to stop, and what happens then."""

    def __init__(self) -> None:
        self.stage = "start"
        """What the work is at."""
        self.ends_with: int | None = None
        """The exit code, once the record is left."""
        self._asked = self._breaks_in = self._has_broken_in = False
        self._rescue: Callable[[], None] = lambda: None

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on."""
        for number in SIGNALS:
            signal.signal(number, self._ask)

    @property
    def is_asked(self) -> bool:
        return self._asked

    def check(self) -> None:
        """Raise Stopped if somebody asked."""
        if self._asked:
            self._has_broken_in = True  # what is saved on the way out is not to be torn
            from t2v_runner.errors import Stopped

            raise Stopped(WORDS)

    @contextmanager
    def breaking_in(self, does: bool = True) -> Iterator[None]:
        """In the block the first signal raises Interrupted at once; or, where not, it does not."""
        before = self._breaks_in
        self._breaks_in = does
        try:
            yield
        finally:
            self._breaks_in = before

    def let_it_finish(self) -> None:
        """Nothing breaks in any more: what is left is done before anybody could wait for it."""
        self._has_broken_in = True

    @contextmanager
    def rescued(self, rescue: Callable[[], None]) -> Iterator[None]:
        """In the block `rescue` saves what it can where the main thread does not.

        It is called in a thread of its own.
        """
        before, self._rescue = self._rescue, rescue
        try:
            yield
        finally:
            self._rescue = before

    def end_in_time(self) -> None:
        """From now on the process ends `END_SECONDS` after a signal, if it has not by itself."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        # Python's own handler waits for the main thread; this wakes another one.
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        threading.Thread(target=self._end, args=(reading,), name="end", daemon=True).start()

    def _end(self, reading: int) -> None:
        while os.read(reading, 1)[0] not in SIGNALS:
            pass
        self._asked = True
        time.sleep(RESCUE_SECONDS)
        threading.Thread(target=lambda: self._rescue(), name="rescue", daemon=True).start()
        time.sleep(END_SECONDS - RESCUE_SECONDS)
        if self.ends_with is None:
            leave_record(self.stage)
        os._exit(STOPPED if self.ends_with is None else self.ends_with)

    def _ask(self, number: int, frame: object) -> None:
        self._asked = True
        if self._breaks_in and not self._has_broken_in:
            # Once: what is saved on the way out is not to be torn as well.
            self._has_broken_in = True
            raise Interrupted


def leave_record(stage: str) -> None:
    """A GenerationFailure as the termination message; imports nothing for it."""
    record = {"kind": "GenerationFailure", "reason": "Stopped", "message": WORDS, "stage": stage}
    with contextlib.suppress(OSError):
        termination_log().write_text(json.dumps(record))


def termination_log() -> Path:
    """Where the record goes that the operator reads."""
    return Path(os.environ.get("T2V_TERMINATION_LOG", "/dev/termination-log"))

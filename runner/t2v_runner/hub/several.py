"""Fetch files over several connections, and look now and then how far they are."""

import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from t2v_runner.hub.fetching import fetch
from t2v_runner.hub.listing import Listing
from t2v_runner.hub.needs import Need

CONNECTIONS = 4
THREADS = "hub-fetch"
"""The name of them all."""


def fetch_all(
    listing: Listing,
    needs: Iterable[Need],
    folder: Path,
    look: Callable[[], None],
    look_seconds: float,
) -> None:
    """Put the files into `folder`. The first error ends it all; so does what `look` raises.

    Nobody waits for a connection that hangs: a process that was asked to stop has little time.
    """
    left: queue.SimpleQueue[Need] = queue.SimpleQueue()
    for need in needs:
        left.put(need)
    ends: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    is_over = threading.Event()

    def may_go_on() -> None:
        if is_over.is_set():
            raise _OverError

    def work() -> None:
        try:
            while True:
                need = left.get_nowait()
                fetch(listing, need.file, folder / need.name, may_go_on)
        except queue.Empty:
            ends.put(None)
        except Exception as error:
            ends.put(error)

    for _ in range(CONNECTIONS):
        threading.Thread(target=work, name=THREADS, daemon=True).start()
    try:
        _watch(ends, look, look_seconds)
    finally:
        is_over.set()


def _watch(
    ends: "queue.SimpleQueue[Exception | None]", look: Callable[[], None], look_seconds: float
) -> None:
    at_work = CONNECTIONS
    while at_work:
        try:
            error = ends.get(timeout=look_seconds)
        except queue.Empty:
            look()
            continue
        if error:
            raise error
        at_work -= 1


class _OverError(Exception):
    """Another file failed, or somebody asked to stop."""

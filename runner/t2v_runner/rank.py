"""One of the processes that draw a video together, each on a GPU of its own.

It says what came of it and waits for its end, which is the watching process's to bring: so none of
them finds another gone. Knows nothing of stores, records or files.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from t2v_api.progress import Progress, Stage
from tqdm import tqdm  # type: ignore[import-untyped]

from t2v_runner.checkpoints.keeper import Keeper, Keeping
from t2v_runner.components import tiled
from t2v_runner.decoding import decoding_again
from t2v_runner.denoise import Drawn, denoise, denoisers
from t2v_runner.device import CPU, Device
from t2v_runner.drawing import Drawing
from t2v_runner.errors import RunnerError, known
from t2v_runner.families import adapter_of
from t2v_runner.reporter import Reporter
from t2v_runner.sharing import join, share
from t2v_runner.stop import StopSignal

logger = logging.getLogger(__name__)

Outcome = Drawn | RunnerError
"""What a process sends last. All but the first one draw the same, and send errors alone."""


@dataclass(frozen=True)
class Kept:
    """A checkpoint is written, or there was none to write."""

    is_last_wish: bool = False
    """Whether the watching process had asked for it."""


@dataclass(frozen=True)
class Place:
    """Which of the processes this is."""

    rank: int
    """From 0, the one whose frames are taken."""
    ranks: int
    device: Device
    """Of the whole run."""
    rendezvous: Path
    """A file by which they find each other."""
    keeping: Keeping | None = None
    """Where the first one writes checkpoints, and all find one to go on from."""

    @property
    def own_device(self) -> Device:
        if self.device.name == CPU:
            return self.device
        return replace(self.device, name=f"{self.device.name}:{self.rank}")


class _Watcher:
    """The way to the process that watches, for several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, news: Any) -> None:
        with self._lock:
            self._connection.send(news)


def run(place: Place, drawing: Drawing, news: Connection, wishes: Connection) -> None:
    """Draw, sending Progress, Kept and then an Outcome to the process that watches.

    The first one writes a checkpoint for whatever comes as a wish. Does not return.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the watching process heeds them
    threading.Thread(target=_end_with_the_watcher, daemon=True).start()
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"GPU {place.rank}: %(levelname)s %(message)s",
    )
    # A killed process would leave tqdm's own lock, a semaphore, behind.
    tqdm.set_lock(threading.RLock())
    watcher = _Watcher(news)
    try:
        _draw(place, drawing, watcher, wishes)
    except Exception as error:
        watcher.send(known(error) or _unknown(error, place))
    while True:
        signal.pause()


def _unknown(error: Exception, place: Place) -> RunnerError:
    logger.exception("it failed")
    return RunnerError(f"GPU {place.rank} of {place.ranks}: {type(error).__name__}: {error}")


def _end_with_the_watcher() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    os._exit(1)


def _keeper(place: Place, drawing: Drawing, watcher: _Watcher, wishes: Connection) -> Keeper | None:
    """All of them go on from what is there. The first one alone writes."""
    if place.keeping is None:
        return None

    def saved() -> bool:
        watcher.send(Kept())
        return True

    keeper = Keeper(place.keeping, saved, latents_seconds=0.0)
    if place.rank == 0:
        keeper.__enter__()

        def heed() -> None:
            wishes.recv()
            keeper.save_now()
            watcher.send(Kept(is_last_wish=True))

        threading.Thread(target=heed, name="wishes", daemon=True).start()
    return keeper.under(drawing.circumstances(place.own_device))


def _draw(place: Place, drawing: Drawing, watcher: _Watcher, wishes: Connection) -> None:
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // place.ranks))
    mesh = join(place.rank, place.ranks, place.own_device, place.rendezvous)
    adapter = adapter_of(drawing.profile.family)
    pipeline = drawing.weights.load(place.own_device)
    for denoiser in denoisers(pipeline):
        share(denoiser, adapter, mesh)
    if drawing.profile.execution.tiling:
        tiled(pipeline.vae)
    tell = watcher.send if place.rank == 0 else _until_decoding
    reporter = Reporter(tell, StopSignal())
    keeper = _keeper(place, drawing, watcher, wishes)
    wanted = drawing.request, drawing.init_frames
    try:
        with decoding_again(pipeline, []):
            drawn = denoise(pipeline, adapter, *wanted, reporter, keeper)
    except _DecodingIsAnothers:
        return
    if keeper:
        keeper.save_now()
    watcher.send(drawn)


class _DecodingIsAnothers(Exception):
    """This process has nothing left to do."""


def _until_decoding(progress: Progress) -> None:
    if progress.stage is Stage.DECODE:
        raise _DecodingIsAnothers

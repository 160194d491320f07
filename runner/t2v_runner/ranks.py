"""Draw one video with several GPUs of this pod: a process for each, which this one watches.

It takes no part in the drawing, so it can always end them: also those that wait, on a GPU, for one
that is gone. Knows nothing of what they tell each other.
"""

import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from t2v_api.execution import Execution
from t2v_api.progress import Progress, Stage

from t2v_runner.checkpoints.keeper import Keeper, Keeping
from t2v_runner.denoise import Drawn
from t2v_runner.device import Device
from t2v_runner.drawing import Drawing
from t2v_runner.errors import RunnerError
from t2v_runner.rank import Kept, Outcome, Place, run
from t2v_runner.reporter import Reporter
from t2v_runner.sharing import check_heads

LOOK_SECONDS = 1.0
"""How long a wish to stop may go unnoticed."""
DEATH_SECONDS = 1.0
"""How long after the first complaint the death that it comes from is seen."""

KEEP_SECONDS = 4.0
"""How long the first one may take to write what it has at a stop."""


@dataclass
class Ranks:
    """The processes, by what comes from them."""

    processes: dict[Connection, BaseProcess] = field(default_factory=dict)
    wishes: Connection | None = None
    """To the first one: it writes a checkpoint for anything that comes."""
    before: int = 0
    """The steps that an earlier run has done."""
    has_stepped: bool = False

    @property
    def first(self) -> Connection:
        """What comes from the one whose frames are taken."""
        return next(iter(self.processes))


def draw(
    drawing: Drawing, device: Device, reporter: Reporter, keeper: Keeper | None = None
) -> tuple[Drawn, Execution]:
    """What one process would draw, and how. When it returns, no process is left.

    `device` is that of the first GPU, or the CPU. Raises RunnerError.
    """
    check_heads(drawing.folder, drawing.profile)
    reporter.enter(Stage.LOAD)
    with _started(drawing, device, keeper.keeping if keeper else None) as ranks:
        try:
            drawn = _followed(ranks, reporter, keeper)
        except BaseException:
            if keeper:
                _have_it_kept(ranks, keeper)
            raise
    tuning = drawing.profile.execution
    return drawn, Execution(
        device=device.name,
        dtype=drawn.dtype,
        gpus=len(ranks.processes),
        attention=tuning.attention,
        compiled=tuning.compile,
    )


@contextmanager
def _started(drawing: Drawing, device: Device, keeping: Keeping | None) -> Iterator[Ranks]:
    context = multiprocessing.get_context("spawn")
    count, ranks = drawing.profile.resources.gpus, Ranks()
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        for rank in range(count):
            place = Place(rank, count, device, folder / "rendezvous", keeping)
            news, first = context.Pipe(duplex=False)
            wished, wishes = context.Pipe(duplex=False)
            arguments = (place, drawing, first, wished)
            process = context.Process(target=run, args=arguments, name=f"GPU {rank}")
            process.start()
            ends.callback(_end, process)
            ends.enter_context(news)
            ends.enter_context(wishes)
            first.close()  # theirs alone: when they die, it ends
            wished.close()
            ranks.processes[news] = process
            ranks.wishes = ranks.wishes or wishes
        yield ranks


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _have_it_kept(ranks: Ranks, keeper: Keeper) -> None:
    """The first process writes what it has, unless it is gone."""
    until = time.monotonic() + KEEP_SECONDS
    with contextlib.suppress(OSError, EOFError):
        assert ranks.wishes
        ranks.wishes.send(None)
        while ranks.first.poll(max(0.0, until - time.monotonic())):
            match ranks.first.recv():
                case Kept(is_last_wish=is_last_wish):
                    keeper.passed_on()
                    if is_last_wish:
                        return


def _followed(ranks: Ranks, reporter: Reporter, keeper: Keeper | None) -> Drawn:
    """What the first one draws; the first failure of any. Raises RunnerError."""
    while True:
        for news in wait(list(ranks.processes), LOOK_SECONDS):
            assert isinstance(news, Connection)
            match _received(news, ranks):
                case Progress() as progress:
                    _pass_on(progress, reporter, ranks)
                case Kept():
                    assert keeper
                    keeper.passed_on()
                case Drawn() as drawn:
                    return drawn
                case RunnerError() as error:
                    raise _death(ranks, DEATH_SECONDS) or error
        reporter.check()


def _received(news: Connection, ranks: Ranks) -> Progress | Kept | Outcome:
    try:
        received: Progress | Kept | Outcome = news.recv()
    except EOFError:
        ranks.processes[news].join()
        death = _death(ranks)
        assert death
        return death
    return received


def _death(ranks: Ranks, seconds: float = 0.0) -> RunnerError | None:
    """Of a process that is gone, with whatever it knew, or goes within so many seconds."""
    processes = ranks.processes.values()
    wait([process.sentinel for process in processes], seconds)
    for process in processes:
        if process.exitcode is not None:
            return RunnerError(
                f"the process of {process.name} of {len(processes)} ended with exit code "
                f"{process.exitcode} before the video was drawn; -9 is mostly the container's "
                "memory limit (resources.memory)"
            )
    return None


def _pass_on(progress: Progress, reporter: Reporter, ranks: Ranks) -> None:
    if progress.step:
        if reporter.stage is Stage.DENOISE and not ranks.has_stepped and progress.step > 1:
            ranks.before = progress.step  # it tells the one that it went on from first
        ranks.has_stepped = True
        reporter.denoised(progress.step, progress.steps, ranks.before)
    elif progress.stage is not Stage.START:
        reporter.enter(progress.stage)

"""Draw one video with several GPUs of this pod: a process for each, which this one watches.

It takes no part in the drawing, so it can always end them: also those that wait, on a GPU, for one
that is gone. Knows nothing of what they tell each other.
"""

import multiprocessing
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from t2v_api.execution import Execution
from t2v_api.progress import Progress, Stage

from t2v_runner.denoise import Drawn
from t2v_runner.device import Device
from t2v_runner.drawing import Drawing
from t2v_runner.errors import RunnerError
from t2v_runner.rank import Outcome, Place, run
from t2v_runner.reporter import Reporter
from t2v_runner.sharing import check_heads

LOOK_SECONDS = 1.0
"""How long a wish to stop may go unnoticed."""
DEATH_SECONDS = 1.0
"""How long after the first complaint the death that it comes from is seen."""

Ranks = dict[Connection, BaseProcess]


def draw(drawing: Drawing, device: Device, reporter: Reporter) -> tuple[Drawn, Execution]:
    """What one process would draw, and how. When it returns, no process is left.

    `device` is that of the first GPU, or the CPU. Raises RunnerError.
    """
    check_heads(drawing.folder, drawing.profile)
    reporter.enter(Stage.LOAD)
    with _started(drawing, device) as ranks:
        drawn = _followed(ranks, reporter)
    tuning = drawing.profile.execution
    return drawn, Execution(
        device=device.name,
        dtype=drawn.dtype,
        gpus=len(ranks),
        attention=tuning.attention,
        compiled=tuning.compile,
    )


@contextmanager
def _started(drawing: Drawing, device: Device) -> Iterator[Ranks]:
    context = multiprocessing.get_context("spawn")
    count, ranks = drawing.profile.resources.gpus, Ranks()
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        for rank in range(count):
            place = Place(rank, count, device, folder / "rendezvous")
            news, first = context.Pipe(duplex=False)
            process = context.Process(target=run, args=(place, drawing, first), name=f"GPU {rank}")
            process.start()
            ends.callback(_end, process)
            ends.enter_context(news)
            first.close()  # theirs alone: when they die, it ends
            ranks[news] = process
        yield ranks


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _followed(ranks: Ranks, reporter: Reporter) -> Drawn:
    """What the first one draws; the first failure of any. Raises RunnerError."""
    while True:
        for news in wait(list(ranks), LOOK_SECONDS):
            assert isinstance(news, Connection)
            match _received(news, ranks):
                case Progress() as progress:
                    _pass_on(progress, reporter)
                case Drawn() as drawn:
                    return drawn
                case RunnerError() as error:
                    raise _death(ranks, DEATH_SECONDS) or error
        reporter.check()


def _received(news: Connection, ranks: Ranks) -> Progress | Outcome:
    try:
        received: Progress | Outcome = news.recv()
    except EOFError:
        ranks[news].join()
        death = _death(ranks)
        assert death
        return death
    return received


def _death(ranks: Ranks, seconds: float = 0.0) -> RunnerError | None:
    """Of a process that is gone, with whatever it knew, or goes within so many seconds."""
    wait([process.sentinel for process in ranks.values()], seconds)
    for process in ranks.values():
        if process.exitcode is not None:
            return RunnerError(
                f"the process of {process.name} of {len(ranks)} ended with exit code "
                f"{process.exitcode} before the video was drawn; -9 is mostly the container's "
                "memory limit (resources.memory)"
            )
    return None


def _pass_on(progress: Progress, reporter: Reporter) -> None:
    if progress.step:
        reporter.denoised(progress.step, progress.steps)
    elif progress.stage is not Stage.START:
        reporter.enter(progress.stage)

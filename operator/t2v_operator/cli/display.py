"""Show a running video on standard error: a bar on a terminal, plain lines elsewhere.

rich, which draws the bar, is for machines of people; the operator's image does not have it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from t2v_api.progress import Progress

from t2v_operator.cli.local import Watcher


@contextmanager
def display(name: str) -> Iterator[Watcher]:
    """A watcher for one video, for as long as it runs."""
    if sys.stderr.isatty() and find_spec("rich"):
        with _bar(name) as watcher:
            yield watcher
    else:
        yield Watcher(progress=lambda progress: _say(_plain(name, progress)), log=_say)


@contextmanager
def _bar(name: str) -> Iterator[Watcher]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("[bold]{task.description}"),
        TextColumn("{task.fields[stage]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[eta]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=100, stage="", eta="")

        def show(progress: Progress) -> None:
            stage = f"{progress.stage.value} {_steps(progress)}".rstrip()
            bar.update(task, completed=progress.percent, stage=stage, eta=_eta(progress))

        yield Watcher(progress=show, log=lambda line: bar.console.print(line, markup=False))


def _plain(name: str, progress: Progress) -> str:
    parts = [name, f"{progress.percent:3d} %", progress.stage.value, _steps(progress)]
    return "  ".join(part for part in [*parts, _eta(progress)] if part)


def _steps(progress: Progress) -> str:
    if progress.total_bytes:
        return f"{(progress.bytes or 0) / 1e9:.1f}/{progress.total_bytes / 1e9:.1f} GB"
    return f"{progress.step}/{progress.steps}" if progress.steps else ""


def _eta(progress: Progress) -> str:
    return "" if progress.eta_seconds is None else f"ETA {progress.eta_seconds:.0f} s"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201

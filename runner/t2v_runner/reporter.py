"""Keep the time of each stage and tell how far the video is, one JSON line each."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, TextIO

from t2v_api.progress import Progress, Stage

from t2v_runner.pace import Pace
from t2v_runner.stop import StopSignal

PERCENT_AT_START = {
    Stage.START: 0,
    Stage.DOWNLOAD: 1,
    Stage.LOAD: 2,
    Stage.ENCODE_PROMPT: 9,
    Stage.DENOISE: 10,
    Stage.DECODE: 90,
    Stage.ENCODE: 95,
    Stage.UPLOAD: 98,
}
DOWNLOADED_PERCENT = 50
"""Of the whole way, where a model has to be downloaded; the stages after that share the rest."""
DENOISE_PERCENT = PERCENT_AT_START[Stage.DECODE] - PERCENT_AT_START[Stage.DENOISE]


class Reporter:
    """One video's way through the stages. Every report is also a chance to stop."""

    def __init__(
        self,
        tell: Callable[[Progress], None],
        stop: StopSignal,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stage = Stage.START
        self.resumed_step: int | None = None
        """The denoising step that an earlier run had come to."""
        self._tell = tell
        self._stop = stop
        self._monotonic = monotonic
        self._start = self._stage_start = monotonic()
        self._timings: dict[Stage, float] = {}
        self._download: Pace | None = None
        self._percent = 0
        self._share = 1.0
        """How much of the denoising is this run's own."""
        self._report(step=0, steps=0, percent=0)

    def enter(self, stage: Stage) -> None:
        """Begin a stage; what came before it has ended. Raises Stopped."""
        self._stop.check()
        self._close_stage()
        self.stage = stage
        self._stop.stage = stage
        self._report(step=0, steps=0, percent=PERCENT_AT_START[stage], eta_seconds=self._rest())

    def downloaded(self, count: int, total: int) -> None:
        """`count` of `total` bytes of a model are there. Raises Stopped."""
        self._stop.check()
        now = self._monotonic()
        if self._download is None or self._download.total != total:
            self._download = Pace(now, count, total)
        start = PERCENT_AT_START[Stage.DOWNLOAD]
        percent = start + (DOWNLOADED_PERCENT - start) * count // max(total, 1)
        self._tell_progress(
            percent,
            eta_seconds=self._download.eta(now, count),
            bytes=count,
            total_bytes=total,
        )

    def denoised(self, step: int, steps: int, before: int = 0) -> None:
        """`step` of `steps` evaluations are done, `before` of them by an earlier run.

        Raises Stopped.
        """
        self._stop.check()
        self.resumed_step = before or None
        self._share = (steps - before) / max(steps, 1)
        spent, own = self._monotonic() - self._stage_start, step - before
        self._report(
            step=step,
            steps=steps,
            percent=PERCENT_AT_START[Stage.DENOISE] + DENOISE_PERCENT * step // max(steps, 1),
            eta_seconds=self._eta(spent / own, step, steps) if own > 1 else None,
        )

    def check(self) -> None:
        """Raises Stopped if somebody asked to stop."""
        self._stop.check()

    def undisturbed(self) -> AbstractContextManager[None]:
        """In the block no signal breaks in."""
        return self._stop.breaking_in(False)

    def nearly_done(self) -> None:
        """No signal breaks in any more."""
        self._stop.let_it_finish()

    def rescued(self, rescue: Callable[[], None]) -> AbstractContextManager[None]:
        """In the block `rescue` saves what it can where a stop takes too long."""
        return self._stop.rescued(rescue)

    def finish(self) -> tuple[dict[Stage, float], float]:
        """The seconds of each stage, and in all. Raises Stopped."""
        self._stop.check()
        self._close_stage()
        timings = {stage: round(seconds, 3) for stage, seconds in self._timings.items()}
        return timings, round(self._monotonic() - self._start, 3)

    def delivered(self) -> None:
        """Everything is where it belongs."""
        self._report(step=0, steps=0, percent=100, eta_seconds=0.0)

    def _eta(self, pace: float, step: int, steps: int) -> float:
        """Seconds until the video is delivered, at `pace` seconds an evaluation."""
        after = (100 - PERCENT_AT_START[Stage.DECODE]) / DENOISE_PERCENT
        return round(pace * (steps - step + steps * after), 1)

    def _rest(self) -> float | None:
        """The same once the denoising is over: what is left takes its part of the time."""
        denoising = self._timings.get(Stage.DENOISE)
        if denoising is None or self.stage is Stage.DENOISE or not self._share:
            return None
        left = 100 - PERCENT_AT_START[self.stage]
        return round(denoising / self._share * left / DENOISE_PERCENT, 1)

    def _close_stage(self) -> None:
        now = self._monotonic()
        self._timings[self.stage] = self._timings.get(self.stage, 0) + now - self._stage_start
        self._stage_start = now

    def _report(
        self, step: int, steps: int, percent: int, eta_seconds: float | None = None
    ) -> None:
        """`percent` is of the way of a model that is there."""
        if self._download:
            percent = DOWNLOADED_PERCENT + (100 - DOWNLOADED_PERCENT) * percent // 100
        self._tell_progress(percent, step=step, steps=steps, eta_seconds=eta_seconds)

    def _tell_progress(self, percent: int, **fields: Any) -> None:
        # A second download, or what is done again with less memory, does not turn the clock back.
        self._percent = max(self._percent, percent)
        values = {"step": 0, "steps": 0, **fields}
        self._tell(
            Progress(
                stage=self.stage,
                percent=self._percent,
                updated_time=datetime.now(UTC),
                **values,
            )
        )


def tell_on(stream: TextIO) -> Callable[[Progress], None]:
    """Write each report to `stream` as a line of JSON; a reader who has gone is no fault."""

    def tell(progress: Progress) -> None:
        try:
            stream.write(progress.json_line() + "\n")
            stream.flush()
        except (OSError, ValueError):
            return

    return tell

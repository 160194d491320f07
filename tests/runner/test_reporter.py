"""Progress as a reader of standard output sees it."""

import io
import signal

import pytest
from t2v_api.progress import Progress, Stage
from t2v_runner.errors import Stopped
from t2v_runner.reporter import Reporter, tell_on
from t2v_runner.stop import StopSignal


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_percent_never_falls_and_the_eta_follows_the_pace() -> None:
    told: list[Progress] = []
    clock = Clock()
    reporter = Reporter(told.append, StopSignal(), clock)
    for stage in (Stage.DOWNLOAD, Stage.LOAD, Stage.ENCODE_PROMPT, Stage.DENOISE):
        reporter.enter(stage)
    for step in range(1, 5):
        clock.now += 2
        reporter.denoised(step, 4)
    for stage in (Stage.DECODE, Stage.ENCODE, Stage.UPLOAD):
        reporter.enter(stage)
    timings, total = reporter.finish()
    reporter.delivered()
    percents = [each.percent for each in told]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert [each.eta_seconds for each in told if each.step] == [None, 5.0, 3.0, 1.0]
    after = [each.eta_seconds for each in told if each.percent >= 90]
    assert after == [1.0, 1.0, 0.5, 0.2, 0.0], "decoding, encoding and the upload take time, too"
    assert timings[Stage.DENOISE] == 8.0
    assert total == 8.0


def test_each_report_is_one_line_of_json() -> None:
    stream = io.StringIO()
    Reporter(tell_on(stream), StopSignal()).enter(Stage.LOAD)
    lines = stream.getvalue().splitlines()
    assert [Progress.parse_json(line).stage for line in lines] == [Stage.START, Stage.LOAD]


def test_a_reader_who_has_gone_is_no_fault() -> None:
    stream = io.StringIO()
    stream.close()
    Reporter(tell_on(stream), StopSignal()).enter(Stage.LOAD)


def test_a_signal_stops_between_two_steps() -> None:
    stop = StopSignal()
    reporter = Reporter(lambda progress: None, stop)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop.listen()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped):
            reporter.denoised(1, 4)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

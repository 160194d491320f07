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


def test_a_download_is_half_of_the_way_and_tells_its_pace() -> None:
    told: list[Progress] = []
    clock = Clock()
    reporter = Reporter(told.append, StopSignal(), clock)
    reporter.enter(Stage.DOWNLOAD)
    # A quarter was left by an earlier attempt: it says nothing of the pace.
    for count in (250, 250, 500, 1000):
        reporter.downloaded(count, 1000)
        clock.now += 2
    downloading = told[2:]
    assert [(each.bytes, each.total_bytes) for each in downloading] == [
        (250, 1000),
        (250, 1000),
        (500, 1000),
        (1000, 1000),
    ]
    assert [each.percent for each in downloading] == [13, 13, 25, 50]
    assert [each.eta_seconds for each in downloading] == [None, None, 8.0, 0.0]
    reporter.downloaded(0, 80)
    assert (told[-1].percent, told[-1].eta_seconds) == (50, None), "a motion adapter comes as well"
    for stage in (Stage.LOAD, Stage.ENCODE_PROMPT, Stage.DENOISE):
        reporter.enter(stage)
    reporter.denoised(4, 4)
    for stage in (Stage.DECODE, Stage.ENCODE, Stage.UPLOAD):
        reporter.enter(stage)
    reporter.delivered()
    after = told[7:]
    assert [each.percent for each in after] == [51, 54, 55, 95, 95, 97, 99, 100]
    assert {(each.bytes, each.total_bytes) for each in after} == {(None, None)}


def test_a_signal_stops_a_download() -> None:
    stop = StopSignal()
    reporter = Reporter(lambda progress: None, stop)
    stop._asked = True
    with pytest.raises(Stopped):
        reporter.downloaded(1, 2)


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


def test_what_an_earlier_run_has_done_says_nothing_of_the_pace() -> None:
    told: list[Progress] = []
    clock = Clock()
    reporter = Reporter(told.append, StopSignal(), clock)
    reporter.enter(Stage.DENOISE)
    for step in (7, 8, 9, 10):
        reporter.denoised(step, 10, before=7)
        clock.now += 2
    assert [each.step for each in told[2:]] == [7, 8, 9, 10]
    assert [each.eta_seconds is None for each in told[2:]] == [True, True, False, False]
    assert told[-1].eta_seconds == pytest.approx(2.0 * 10 / 8, abs=0.8)
    clock.now = 6.0
    reporter.enter(Stage.DECODE)
    # Six seconds were three steps of ten.
    assert told[-1].eta_seconds == 2.5
    assert reporter.finish()[0][Stage.DENOISE] == 6.0
    assert reporter.resumed_step == 7


def test_where_nothing_was_left_to_denoise_nobody_knows_the_rest() -> None:
    told: list[Progress] = []
    reporter = Reporter(told.append, StopSignal(), Clock())
    reporter.enter(Stage.DENOISE)
    reporter.denoised(10, 10, before=10)
    reporter.enter(Stage.DECODE)
    assert told[-1].eta_seconds is None

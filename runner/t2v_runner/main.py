"""From the environment to an exit code: run one order, leave one record, whatever happens."""

import os

from t2v_api.reasons import ExitCode
from t2v_api.result import GenerationFailure, GenerationResult

from t2v_runner import program
from t2v_runner.errors import Stopped
from t2v_runner.generate import generate
from t2v_runner.order import read_order
from t2v_runner.program import Outside
from t2v_runner.reporter import Reporter
from t2v_runner.retries import code_to_end_with
from t2v_runner.stop import WORDS, Interrupted, StopSignal


def main(stop: StopSignal) -> int:
    """Make the video that the environment asks for; returns the process's exit code.

    `stop` listens already.
    """
    outcome = program.run(_make_the_video, stop)
    if isinstance(outcome, GenerationResult):
        return ExitCode.DONE
    return code_to_end_with(outcome, os.environ)


def _make_the_video(outside: Outside) -> GenerationResult | GenerationFailure:
    reporter = Reporter(outside.tell, outside.stop)
    try:
        outside.stop.check()
        with outside.stop.breaking_in():
            result = generate(read_order(os.environ), reporter, outside.server)
        reporter.delivered()
        return result
    except (Exception, Interrupted) as error:
        # What fails after a signal may come from it: another attempt tells.
        why = Stopped(WORDS) if outside.stop.is_asked else error
        return program.failure(why, reporter.stage, reporter.resumed_step)

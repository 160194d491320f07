"""What every program of the runner does around its work: progress out, one record at the end.

Knows neither videos nor models.
"""

import contextlib
import logging
import os
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from t2v_api.prefetch import PrefetchResult
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import ExitCode, Reason
from t2v_api.result import (
    MESSAGE_CHARACTERS,
    TERMINATION_MESSAGE_BYTES,
    GenerationFailure,
    GenerationResult,
)

from t2v_runner.errors import known
from t2v_runner.order import read_report_address
from t2v_runner.report_server import NotAnswered, ProgressTeller, Refused, ReportServer
from t2v_runner.reporter import tell_on
from t2v_runner.stop import StopSignal, termination_log

HAND_IN_PAUSES = (1.0, 2.0, 4.0, 8.0, 0.0)
"""Seconds after each try to hand in the record: another operator leads by then."""

Tell = Callable[[Progress], None]
Record = GenerationResult | PrefetchResult | GenerationFailure
Left = TypeVar("Left", bound=Record)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outside:
    """Whom the work tells and heeds."""

    tell: Tell
    stop: StopSignal
    server: ReportServer | None


def run(work: Callable[[Outside], Left], stop: StopSignal | None = None) -> Left:
    """Do the work, and leave its record as the termination message and at the report server.

    Without a `stop` that listens already, a new one does from now on.
    """
    set_up_logging()
    if stop is None:
        stop = StopSignal()
        stop.listen()
    with _standard_output_for_progress() as stream, _report_server() as server:
        with _told_on(stream, server) as tell:
            record = work(Outside(tell, stop, server))
        # First what needs no network: whatever ends the pod now, it has told its end.
        _leave(record, termination_log())
        # At once: another thread may end the process by it at any time.
        stop.ends_with = (
            record.exit_code if isinstance(record, GenerationFailure) else ExitCode.DONE
        )
        if server:
            _hand_in(record, server, stop)
    return record


def failure(
    error: BaseException, stage: Stage, resumed_step: int | None = None
) -> GenerationFailure:
    """The record of what ended the work at `stage`. It is logged."""
    its_own = known(error)
    if its_own is None:
        logger.exception("the runner failed at stage %s", stage)
        message = f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
        return GenerationFailure(
            reason=Reason.RUNNER_FAULT, message=message, stage=stage, resumed_step=resumed_step
        )
    logger.error("%s at stage %s: %s", its_own.reason, stage, its_own)
    return GenerationFailure(
        reason=its_own.reason, message=str(its_own), stage=stage, resumed_step=resumed_step
    )


def set_up_logging() -> None:
    """To standard error; without the URLs of requests, for a grant's is a right of its own."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)


@contextlib.contextmanager
def _report_server() -> Iterator[ReportServer | None]:
    address = read_report_address(os.environ)
    if address is None:
        yield None
        return
    try:
        server = ReportServer(address)
    except ssl.SSLError as error:
        logger.warning("no report server: its certificate authority is unusable: %s", error)
        yield None
        return
    with server:
        yield server


@contextlib.contextmanager
def _told_on(stream: TextIO, server: ReportServer | None) -> Iterator[Tell]:
    """Progress goes to the stream and, where there is one, to the report server."""
    on_stream = tell_on(stream)
    if server is None:
        yield on_stream
        return
    with ProgressTeller(server.tell_progress) as teller:

        def both(progress: Progress) -> None:
            on_stream(progress)
            teller(progress)

        yield both


def _hand_in(record: Record, server: ReportServer, stop: StopSignal) -> None:
    """Tell the record. Where that fails, the termination message still tells it."""
    for pause in HAND_IN_PAUSES:
        try:
            server.tell_outcome(record)
        except (NotAnswered, Refused) as error:
            logger.warning("the record is not handed in: %s", error)
        else:
            return
        if stop.is_asked:
            return
        time.sleep(pause)


def _leave(record: Record, termination_log: Path) -> None:
    """Write the record that the operator reads; Kubernetes keeps 4096 bytes of it."""
    line = record.json_line().encode()
    if len(line) > TERMINATION_MESSAGE_BYTES:
        logger.error("the result record has %d bytes, too many", len(line))
    try:
        termination_log.write_bytes(line)
    except OSError as error:
        logger.warning("no termination message: %s: %s", termination_log, error.strerror)


@contextlib.contextmanager
def _standard_output_for_progress() -> Iterator[TextIO]:
    """Progress alone goes to standard output: what a library prints goes to standard error."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        os.dup2(2, 1)
        try:
            yield stream
        finally:
            os.dup2(stream.fileno(), 1)

"""From the environment to an exit code: run one order, leave one record, whatever happens."""

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from t2v_api.reasons import ExitCode, Reason
from t2v_api.result import (
    MESSAGE_CHARACTERS,
    TERMINATION_MESSAGE_BYTES,
    GenerationFailure,
    GenerationResult,
)

from t2v_runner.errors import OutOfMemory, RunnerError, StorageFailed
from t2v_runner.generate import generate
from t2v_runner.order import read_order
from t2v_runner.reporter import Reporter, tell_on
from t2v_runner.stop import StopSignal

logger = logging.getLogger(__name__)


def main() -> int:
    """Make the video that the environment asks for; returns the process's exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    # OpenMP's threads spin while they wait, unless told before torch is imported: on cores that
    # other processes use too, that slows denoising down several times.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    stop = StopSignal()
    stop.listen()
    with _standard_output_for_progress() as stream:
        outcome = _run(Reporter(tell_on(stream), stop))
    _leave(outcome, Path(os.environ.get("T2V_TERMINATION_LOG", "/dev/termination-log")))
    return ExitCode.DONE if isinstance(outcome, GenerationResult) else outcome.exit_code


def _run(reporter: Reporter) -> GenerationResult | GenerationFailure:
    try:
        return generate(read_order(os.environ), reporter)
    except Exception as error:
        known = _known(error)
        if known is None:
            logger.exception("the runner failed at stage %s", reporter.stage)
            message = f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
            return GenerationFailure(
                reason=Reason.RUNNER_FAULT, message=message, stage=reporter.stage
            )
        logger.error("%s at stage %s: %s", known.reason, reporter.stage, known)
        return GenerationFailure(reason=known.reason, message=str(known), stage=reporter.stage)


def _known(error: BaseException) -> RunnerError | None:
    """The runner's own error that `error` is, or that it comes from."""
    if isinstance(error, RunnerError):
        return error
    if _is_out_of_memory(error):
        return OutOfMemory(
            "the device's memory does not hold this request: "
            "fewer frames or a smaller size need less"
        )
    # FFmpeg's errors have an errno too, but are not always OSErrors.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailed(f"no space left on the device: {error}")
    cause = error.__cause__ or error.__context__
    return _known(cause) if cause is not None else None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _leave(outcome: GenerationResult | GenerationFailure, termination_log: Path) -> None:
    """Write the record that the operator reads; Kubernetes keeps 4096 bytes of it."""
    record = outcome.json_line().encode()
    if len(record) > TERMINATION_MESSAGE_BYTES:
        logger.error("the result record has %d bytes, too many", len(record))
    try:
        termination_log.write_bytes(record)
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

"""Run a Job's container command on this machine, as a kubelet would in a pod.

Knows the Job manifest and the runner's contract; knows nothing of models or of the runner's code.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from t2v_api.base import ContractError
from t2v_api.progress import Progress
from t2v_api.web_address import AllowedAddresses

from t2v_operator.core.attempts import RunnerEnd, outcome_of
from t2v_operator.core.job import Manifest
from t2v_operator.core.pods import STOP_SECONDS

ANYWHERE = AllowedAddresses(ranges=("0.0.0.0/0", "::/0")).json_line()
INTERPRETERS = ("python", "python3")


@dataclass(frozen=True)
class LocalMachine:
    """What stands in for the pod's mounts and the cluster's network policy."""

    models_dir: Path
    allow_private_media: bool = False


@dataclass(frozen=True)
class Watcher:
    """Who is told while the runner runs."""

    progress: Callable[[Progress], None]
    log: Callable[[str], None]


def run_job(job: Manifest, output_dir: Path, machine: LocalMachine, watcher: Watcher) -> RunnerEnd:
    """Run the Job's one container to its end. Files go to `output_dir` itself.

    Ctrl-C and SIGTERM are passed on as SIGTERM once; the second one kills.
    """
    container = job["spec"]["template"]["spec"]["containers"][0]
    start_time = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="t2v-") as scratch:
        termination_log = Path(scratch, "termination-log")
        environment = _environment(container, output_dir, Path(scratch), machine)
        environment["T2V_TERMINATION_LOG"] = str(termination_log)
        exit_code = _run(_command(container), environment, watcher)
        message = termination_log.read_text() if termination_log.exists() else ""
    return RunnerEnd(
        outcome=outcome_of(message, exit_code),
        exit_code=exit_code,
        start_time=start_time,
        completion_time=datetime.now(UTC),
    )


def _command(container: Manifest) -> list[str]:
    command: list[str] = [*container["command"], *container.get("args", [])]
    program = sys.executable if command[0] in INTERPRETERS else command[0]
    return [program, *command[1:]]


def _environment(
    container: Manifest, output_dir: Path, scratch: Path, machine: LocalMachine
) -> dict[str, str]:
    """The container's environment with this machine's folders in the place of the mounts."""
    return {
        **os.environ,
        **{variable["name"]: variable["value"] for variable in container["env"]},
        "HF_HOME": os.environ.get("HF_HOME", str(Path.home() / ".cache" / "huggingface")),
        "TMPDIR": str(scratch),
        "T2V_OUTPUT_DIR": str(output_dir),
        "T2V_RETRIES": "0",
        "T2V_MODELS_DIR": str(machine.models_dir),
        "T2V_UPLOAD": "",
        "T2V_REPORT_URL": "",
        "T2V_MEDIA_DIR": "/",
        **({"T2V_ALLOWED_ADDRESSES": ANYWHERE} if machine.allow_private_media else {}),
    }


def _run(command: list[str], environment: dict[str, str], watcher: Watcher) -> int:
    with subprocess.Popen(  # noqa: S603
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        logs = threading.Thread(target=_each_line, args=(process.stderr, watcher.log))
        logs.start()
        with _signals_passed_on(process):
            _each_line(process.stdout, lambda line: _tell(line, watcher))
            process.wait()
        logs.join()
    # A shell's convention, and the contract's: ended by signal n is 128 + n.
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _each_line(stream: IO[str], tell: Callable[[str], None]) -> None:
    for line in stream:
        tell(line.rstrip("\n"))


def _tell(line: str, watcher: Watcher) -> None:
    try:
        progress = Progress.parse_json(line)
    except ContractError:
        watcher.log(line)
    else:
        watcher.progress(progress)


@contextmanager
def _signals_passed_on(process: subprocess.Popen[str]) -> Iterator[None]:
    asked = False

    def kill_if_alive() -> None:
        if process.poll() is None:
            process.kill()

    timer = threading.Timer(STOP_SECONDS, kill_if_alive)
    timer.daemon = True

    def stop(number: int, frame: object) -> None:
        nonlocal asked
        if process.poll() is not None:
            return
        if asked:
            process.kill()
            return
        asked = True
        process.terminate()
        timer.start()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        timer.cancel()
        for number, handler in previous.items():
            signal.signal(number, handler)

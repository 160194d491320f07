"""A runner that is asked to stop is gone within ten seconds; what it can save is saved."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from t2v_api.delivery import CHECKPOINT_FILE
from t2v_api.progress import Stage
from t2v_api.reasons import ExitCode, Reason
from t2v_api.result import GenerationFailure, read_outcome
from t2v_runner.errors import Stopped
from t2v_runner.stop import Interrupted, StopSignal, leave_record

from tests.contract.delivery_world import World, a_world
from tests.unit.builders import a_job

ROOT = Path(__file__).parents[2]
GONE_SECONDS = 10.0
BUSY_SECONDS = 5.0
"""What a machine that is busy with other tests may add."""
START_SECONDS = 300.0

KEPT = (Stage.DENOISE, Stage.DECODE, Stage.ENCODE, Stage.UPLOAD)
"""Stages at which there are steps to keep."""
WHOLE = os.environ.get("T2V_WHOLE") == "1"
CASES = [
    *((stage, "heeds") for stage in Stage),
    *((stage, "deaf") for stage in (Stage if WHOLE else (Stage.LOAD, Stage.DENOISE))),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.mark.parametrize(("stage", "how"), CASES, ids=str)
def test_it_is_gone_in_time_at_every_stage(
    world: World, tmp_path: Path, stage: Stage, how: str
) -> None:
    output, come, log = (tmp_path / name for name in ("output", "come", "log"))
    job = a_job(numInferenceSteps=5, numFrames=4, seed=1, guidanceScale=1.0)
    environment = os.environ | {
        "T2V_REQUEST": job.request.json_line(),
        "T2V_MODEL": job.profile.json_line(),
        "T2V_MODELS_DIR": str(ROOT / "models"),
        "T2V_OUTPUT_DIR": str(output),
        "T2V_TERMINATION_LOG": str(log),
        "T2V_UPLOAD": "1",
        "T2V_REPORT_URL": world.address.url,
        "T2V_REPORT_CA": world.address.certificate_authority,
        "T2V_TOKEN_DIR": str(world.address.token_file.parent),
        "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path)),
    }
    command = [sys.executable, "-m", "tests.runner.stopped_runner", stage, how, str(come)]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) as runner:
        end = os.pidfd_open(runner.pid)
        _wait_for(come, end)
        runner.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        gone, _, _ = select.select([end], [], [], GONE_SECONDS + BUSY_SECONDS)
        took = time.monotonic() - asked
        os.close(end)
        runner.kill()
    assert gone, f"it is still there after {took:.1f} s"
    assert runner.returncode == ExitCode.STOPPED
    record = read_outcome(log.read_text())
    assert isinstance(record, GenerationFailure)
    assert (record.reason, record.stage) == (Reason.STOPPED, stage)
    assert world.files() == ([CHECKPOINT_FILE] if stage in KEPT else [])
    left = sorted(path.name for path in output.iterdir()) if output.exists() else []
    final = [name for name in left if not name.startswith(".")]
    # In a pod's own scratch folder the whole video may wait for its upload.
    assert final == [] or stage is Stage.UPLOAD
    if how == "heeds":
        assert not any(name.startswith(".making-") for name in left)


def _wait_for(come: Path, end: int) -> None:
    until = time.monotonic() + START_SECONDS
    while not come.exists():
        is_over, _, _ = select.select([end], [], [], 0.1)
        assert not is_over, "it ended by itself"
        assert time.monotonic() < until


@pytest.fixture
def listening() -> Iterator[StopSignal]:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stop = StopSignal()
    stop.listen()
    yield stop
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])


def test_a_signal_breaks_in_where_it_may_and_once(listening: StopSignal) -> None:
    with pytest.raises(Interrupted), listening.breaking_in():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)  # what is saved now is not torn
            saved = True
    assert saved
    with pytest.raises(Stopped):
        listening.check()


def test_elsewhere_it_waits_to_be_looked_for(listening: StopSignal) -> None:
    with listening.breaking_in():
        with listening.breaking_in(False):
            signal.raise_signal(signal.SIGINT)
        assert listening.is_asked


def test_what_has_stopped_at_a_check_is_not_broken_into(listening: StopSignal) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with listening.breaking_in():
        with pytest.raises(Stopped):
            listening.check()
        os.kill(os.getpid(), signal.SIGTERM)


def test_what_is_nearly_done_is_finished(listening: StopSignal) -> None:
    with listening.breaking_in():
        listening.let_it_finish()
        signal.raise_signal(signal.SIGTERM)
    assert listening.is_asked


def test_the_last_record_is_one_that_the_operator_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T2V_TERMINATION_LOG", str(tmp_path / "log"))
    leave_record(Stage.LOAD)
    record = read_outcome((tmp_path / "log").read_text())
    assert json.loads(record.json_line())["reason"] == "Stopped"
    assert isinstance(record, GenerationFailure)
    assert record.stage is Stage.LOAD

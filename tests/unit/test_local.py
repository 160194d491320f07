"""What a user sees while the runner's process runs, and what is made of its end."""

from datetime import UTC, datetime

import pytest
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import Reason
from t2v_api.resource import Phase
from t2v_api.result import GenerationFailure
from t2v_operator.cli.display import _plain
from t2v_operator.cli.local import Watcher, _tell
from t2v_operator.core.attempts import History, RunnerEnd, outcome_of
from t2v_operator.core.job import build_job
from t2v_operator.core.plan import read_plan
from t2v_operator.core.status import Subject, ended_status, failed_status

from tests.unit.builders import a_config, a_job, a_resource

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_progress(**fields: object) -> Progress:
    values: dict[str, object] = {
        "stage": Stage.DENOISE,
        "step": 3,
        "steps": 25,
        "percent": 19,
        "eta_seconds": 12.4,
        "updated_time": NOW,
    }
    return Progress.model_validate(values | fields)


def test_a_plain_line_has_stage_step_and_eta() -> None:
    assert _plain("cat", a_progress()) == "cat   19 %  denoise  3/25  ETA 12 s"
    assert _plain("cat", a_progress(step=0, steps=0, eta_seconds=None)) == "cat   19 %  denoise"


def test_a_plain_line_of_a_download_has_its_bytes() -> None:
    download = a_progress(
        stage=Stage.DOWNLOAD, step=0, steps=0, bytes=3_240_000_000, total_bytes=28_928_887_859
    )
    assert _plain("cat", download) == "cat   19 %  download  3.2/28.9 GB  ETA 12 s"


def test_a_line_that_is_no_progress_is_a_log_line() -> None:
    progress: list[Progress] = []
    logs: list[str] = []
    for line in (a_progress().json_line(), "Loading…", "{}"):
        _tell(line, Watcher(progress=progress.append, log=logs.append))
    assert progress == [a_progress()]
    assert logs == ["Loading…", "{}"]


@pytest.mark.parametrize(
    ("message", "exit_code", "said"),
    [
        pytest.param("", 1, "its exit code is 1", id="nothing"),
        pytest.param('{"kind":"Gener', 137, "memory ran out", id="killed while it wrote"),
        pytest.param("[]", 0, "its exit code is 0", id="no record though it says 0"),
    ],
)
def test_a_runner_that_dies_silently_is_a_failure(message: str, exit_code: int, said: str) -> None:
    outcome = outcome_of(message, exit_code)
    assert isinstance(outcome, GenerationFailure)
    assert outcome.reason is Reason.RUNNER_VANISHED
    assert said in outcome.message


def test_a_failure_reaches_phase_conditions_and_attempts() -> None:
    failure = GenerationFailure(reason=Reason.OUT_OF_MEMORY, message="full", stage=Stage.DENOISE)
    end = RunnerEnd(failure, exit_code=4, start_time=NOW, completion_time=NOW)
    job = a_job()
    subject = Subject(job.resource.metadata, job.resource.spec.request_hash, NOW)
    status = ended_status(
        subject, read_plan(build_job(job, a_config())), end, History((end.attempt,), 1)
    )
    conditions = {each.type: (each.status, each.reason) for each in status.conditions}
    assert status.phase is Phase.FAILED
    assert conditions == {
        "Ready": ("False", "OutOfMemory"),
        "Reconciling": ("False", "OutOfMemory"),
        "Stalled": ("True", "OutOfMemory"),
    }
    assert (status.attempts[0].reason, status.attempts[0].exit_code) == ("OutOfMemory", 4)
    assert status.output_url is None
    assert status.resolved
    assert status.resolved.seed == a_job().request.seed


def test_a_refused_resource_says_why_on_its_status() -> None:
    subject = Subject(a_resource().metadata, "hash", NOW)
    status = failed_status(subject, None, Reason.MODEL_NOT_FOUND, "no such model", History(), NOW)
    assert (status.phase, status.message) == (Phase.FAILED, "no such model")
    assert status.attempts == ()

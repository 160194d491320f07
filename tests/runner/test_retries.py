"""A runner is started again in its pod so often, and where that is cheap."""

from pathlib import Path

import pytest
from t2v_api.progress import Stage
from t2v_api.reasons import ExitCode, Reason
from t2v_api.result import GenerationFailure
from t2v_runner.retries import code_to_end_with

FAILED, FAULT = ExitCode.STORAGE_OR_NETWORK, ExitCode.FAULT


def a_failure(
    reason: Reason = Reason.STORAGE_FAILED, stage: Stage = Stage.DOWNLOAD
) -> GenerationFailure:
    return GenerationFailure(reason=reason, message="it failed", stage=stage)


def an_environment(folder: Path, retries: int = 3) -> dict[str, str]:
    return {"T2V_RETRIES": str(retries), "HOME": str(folder), "T2V_OUTPUT_DIR": str(folder)}


def test_after_so_many_retries_another_pod_follows(tmp_path: Path) -> None:
    codes = [code_to_end_with(a_failure(), an_environment(tmp_path)) for _ in range(5)]
    assert codes == [FAILED, FAILED, FAILED, FAULT, FAULT]


def test_what_no_retry_mends_is_not_counted(tmp_path: Path) -> None:
    environment, too_large = an_environment(tmp_path, 1), a_failure(Reason.OUT_OF_MEMORY)
    assert code_to_end_with(too_large, environment) is ExitCode.OUT_OF_MEMORY
    assert code_to_end_with(a_failure(), environment) is FAILED


@pytest.mark.parametrize("stage", [Stage.DECODE, Stage.ENCODE, Stage.UPLOAD])
def test_what_would_be_denoised_again_is_left_to_another_pod(tmp_path: Path, stage: Stage) -> None:
    assert code_to_end_with(a_failure(stage=stage), an_environment(tmp_path)) is FAULT


@pytest.mark.parametrize("environment", [{}, {"T2V_RETRIES": "0"}])
def test_where_nothing_is_started_again_the_code_is_what_happened(
    environment: dict[str, str],
) -> None:
    assert code_to_end_with(a_failure(stage=Stage.UPLOAD), environment) is FAILED


def test_a_folder_that_takes_no_byte_more_is_no_place_for_a_retry(tmp_path: Path) -> None:
    assert code_to_end_with(a_failure(), an_environment(tmp_path / "not-there")) is FAULT


@pytest.mark.parametrize("stage", [Stage.DECODE, Stage.ENCODE, Stage.UPLOAD])
def test_what_is_kept_is_not_denoised_again(tmp_path: Path, stage: Stage) -> None:
    (tmp_path / ".checkpoint-0123.safetensors").touch()
    assert code_to_end_with(a_failure(stage=stage), an_environment(tmp_path)) is FAILED

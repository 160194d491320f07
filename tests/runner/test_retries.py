"""A runner is started again in its pod so often, and no more."""

from pathlib import Path

import pytest
from t2v_api.reasons import ExitCode
from t2v_runner.retries import code_to_end_with

FAILED, FAULT = ExitCode.STORAGE_OR_NETWORK, ExitCode.FAULT


def test_after_so_many_retries_another_pod_follows(tmp_path: Path) -> None:
    environment = {"T2V_RETRIES": "3", "HOME": str(tmp_path)}
    codes = [code_to_end_with(FAILED, environment) for _ in range(5)]
    assert codes == [FAILED, FAILED, FAILED, FAULT, FAULT]


def test_what_no_retry_mends_is_not_counted(tmp_path: Path) -> None:
    environment = {"T2V_RETRIES": "1", "HOME": str(tmp_path)}
    assert code_to_end_with(ExitCode.OUT_OF_MEMORY, environment) is ExitCode.OUT_OF_MEMORY
    assert code_to_end_with(FAILED, environment) is FAILED


@pytest.mark.parametrize("environment", [{}, {"T2V_RETRIES": "0"}])
def test_where_nothing_is_started_again_the_code_is_what_happened(
    environment: dict[str, str],
) -> None:
    assert code_to_end_with(FAILED, environment) is FAILED


def test_a_folder_that_takes_no_byte_more_is_no_place_for_a_retry(tmp_path: Path) -> None:
    environment = {"T2V_RETRIES": "3", "HOME": str(tmp_path / "not-there")}
    assert code_to_end_with(FAILED, environment) is FAULT

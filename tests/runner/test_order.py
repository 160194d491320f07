"""What the runner's environment says."""

import pytest
from t2v_api.execution import ModelExecution
from t2v_runner.order import read_order

from tests.unit.builders import a_job


@pytest.mark.parametrize(
    ("environment", "own", "seconds"),
    [
        pytest.param({}, None, 600.0, id="nothing is said"),
        pytest.param({"T2V_CHECKPOINT_MINUTES": "0.5"}, None, 30.0, id="the operator's"),
        pytest.param({"T2V_CHECKPOINT_MINUTES": "10"}, 2.0, 120.0, id="the model's own"),
        pytest.param({"T2V_CHECKPOINT_MINUTES": "10"}, 0.0, 0.0, id="never with this model"),
        pytest.param({"T2V_CHECKPOINT_MINUTES": "0"}, None, 0.0, id="never"),
    ],
)
def test_how_often_a_checkpoint_is_made(
    environment: dict[str, str], own: float | None, seconds: float
) -> None:
    job = a_job()
    execution = ModelExecution(checkpoint_every_minutes=own)
    profile = job.profile.model_copy(update={"execution": execution})
    asked = {"T2V_REQUEST": job.request.json_line(), "T2V_MODEL": profile.json_line()}
    assert read_order(asked | environment).checkpoint_seconds == seconds

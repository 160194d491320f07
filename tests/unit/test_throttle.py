"""How long news may wait: seconds for what nobody waits for, none for what would be lost."""

from typing import Any

import pytest
from t2v_api.progress import Progress, Stage
from t2v_api.resource import TextToVideoJobStatus
from t2v_operator.core.throttle import (
    QUEUED_SECONDS,
    RUNNING_SECONDS,
    SAME_SECONDS,
    patience_seconds,
)

from tests.unit.observations import (
    a_status,
    at,
    decided,
    queued,
    running,
    succeeded,
)


def runs(percent: int = 19, stage: Stage = Stage.DENOISE, said: float = 100) -> Any:
    """The status of a pod that runs, `said` seconds after the start by the runner's clock."""
    progress = Progress(stage=stage, step=3, steps=25, percent=percent, updated_time=at(said))
    return running().model_copy(update={"progress": progress})


@pytest.mark.parametrize(
    ("before", "after", "seconds"),
    [
        pytest.param(None, queued(), QUEUED_SECONDS, id="a pod follows soon"),
        pytest.param(queued(), running(), RUNNING_SECONDS, id="it runs"),
        pytest.param(running(), succeeded(), 0, id="it is there"),
        pytest.param(None, a_status(spec={"modelId": "other"}), 0, id="it is refused"),
        pytest.param(runs(19), runs(20), SAME_SECONDS, id="a percent more"),
        pytest.param(runs(), runs(stage=Stage.DECODE), 0, id="another stage"),
        pytest.param(runs(said=100), runs(said=9000), SAME_SECONDS, id="a clock hours ahead"),
        pytest.param(runs(said=100), runs(said=-900), SAME_SECONDS, id="a clock minutes behind"),
    ],
)
def test_news_waits_as_long_as_nobody_misses_it(
    before: TextToVideoJobStatus | None, after: TextToVideoJobStatus, seconds: float
) -> None:
    assert patience_seconds(before, after) == seconds


def test_a_job_that_was_deleted_is_written_down_at_once_as_nothing_else_tells_it() -> None:
    """Or it would be made again without end by whoever deletes it soon enough."""
    after = decided(status=running()).status
    assert after
    assert patience_seconds(running(), after) == 0

"""After the suite: every query of the dashboard answers over what the pods served in all of it."""

from pathlib import Path

import pytest
from harness.go_programs import go_program
from metrics_seen import MetricsSeen

from tests.prometheus import dashboard_queries, unanswered


def test_every_query_of_the_dashboard_answers(
    metrics_seen: MetricsSeen | None, tmp_path: Path
) -> None:
    if metrics_seen is None:
        pytest.skip("what pods ever serve, only the whole suite can tell: `make grants`")
    assert (
        unanswered(go_program("promtool"), tmp_path, dashboard_queries(), metrics_seen.series) == []
    )

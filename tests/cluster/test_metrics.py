"""The metrics as Prometheus would read them."""

import re
import subprocess
from pathlib import Path

from harness.go_programs import go_program
from installation import Installation, Workspace

from tests.prometheus import dashboard_queries, series_of, unanswered


def metrics_of_the_leader(installation: Installation) -> str:
    path = f"/api/v1/namespaces/t2v-system/pods/{installation.leader()}:8080/proxy/metrics"
    text: str = installation.kubectl("get", "--raw", path)
    return text


def test_the_linter_finds_nothing_in_the_leaders_metrics(
    installation: Installation, workspace: Workspace
) -> None:
    text = metrics_of_the_leader(installation)
    assert "t2v_leader 1.0" in text
    linted = subprocess.run([go_program("promlint")], input=text, text=True, capture_output=True)
    assert (linted.returncode, linted.stderr) == (0, "")


def test_the_dashboard_answers_over_the_leaders_metrics(
    installation: Installation, workspace: Workspace, tmp_path: Path
) -> None:
    """All that asks for what this leader has counted: some things may not have happened yet, and
    nothing may be in some phase just now."""
    series = series_of(metrics_of_the_leader(installation), "operator")
    there = {each["series"].partition("{")[0] for each in series}
    queries = {
        name: query
        for name, query in dashboard_queries().items()
        if set(re.findall(r"\bt2v_\w+", query)) <= there
        and ":" not in query
        and "phase=" not in query
    }
    assert {"Who leads A", "In the cache A", "Webhooks that wait A"} <= set(queries)
    assert unanswered(go_program("promtool"), tmp_path, queries, series) == []

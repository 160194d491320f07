"""The chart's alerts, as Prometheus's own tool sees them: when they ring and when they do not."""

from pathlib import Path

import pytest
import yaml
from harness.commands import run
from harness.errors import HarnessError
from harness.go_programs import go_program, has_go
from prometheus_client import generate_latest
from t2v_api.resource import Cost
from t2v_gateway.metrics import Metrics as GatewayMetrics
from t2v_operator.cluster.kinds import JOBS
from t2v_operator.cluster.metrics import Levels, Metrics

from tests.prometheus import RULES, dashboard_queries, series_of, unanswered
from tests.unit.model_observations import COMMIT, a_model, told
from tests.unit.observations import queued, running, succeeded

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def promtool() -> Path:
    if not has_go():
        pytest.skip("no promtool: it is built with Go, which is not here, and neither is pip")
    try:
        return go_program("promtool")
    except HarnessError as error:
        pytest.skip(f"no promtool: {error}")


def test_promtool_finds_nothing_in_the_rules(promtool: Path) -> None:
    assert "SUCCESS" in run([promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES])


def test_the_alerts_ring_when_they_should(promtool: Path, tmp_path: Path) -> None:
    tests = yaml.safe_load((HERE / "rules.test.yaml").read_text())
    file = tmp_path / "rules.test.yaml"
    file.write_text(yaml.safe_dump({**tests, "rule_files": [str(RULES)]}))
    assert "SUCCESS" in run([promtool, "test", "rules", file])


def what_an_operator_serves() -> str:
    """After a video, a model and an error of each kind."""
    metrics = Metrics()
    jobs = [(phase, "m", "p", "Starting") for phase in ("Queued", "Running", "Pending")]
    models = [a_model(status=told(True, sources="owner/name@main", commit=COMMIT, bytes=3))]
    metrics.registry.register(
        Levels(
            lambda: jobs,
            lambda: models,
            lambda: {JOBS: 1},
            lambda: {JOBS: 1.0},
            lambda: 0,
            lambda: 0,
            lambda: True,
        )
    )
    for before, after in ((queued(), running()), (running(), succeeded())):
        metrics.wrote(before, after, model="m", pool="p", gpus=1, waited_seconds=5.0)
    cost = Cost(amount="1.5", currency="EUR")
    spent = succeeded().model_copy(update={"gpu_seconds": 9.0, "cost": cost, "key_id": "k"})
    metrics.spent.wrote(running(), spent, namespace="films", model="m", pool="p")
    metrics._fetch.labels("m").observe(1)
    metrics._fetched_bytes.labels("m").inc()
    metrics._failed_fetches.labels("m").inc()
    metrics.looked(0.1)
    metrics.called("list", JOBS, 200, 0.1)
    return generate_latest(metrics.registry).decode()


def what_a_gateway_serves() -> str:
    metrics = GatewayMetrics()
    metrics.requests.labels("GET", "/v1/videos/{video_id}", "200").inc()
    metrics.seconds.labels("/v1/videos/{video_id}").observe(0.1)
    return generate_latest(metrics.registry).decode()


def test_every_query_of_the_dashboard_answers(promtool: Path, tmp_path: Path) -> None:
    series = [
        *series_of(what_an_operator_serves(), "operator"),
        *series_of(what_a_gateway_serves(), "gateway"),
    ]
    assert unanswered(promtool, tmp_path, dashboard_queries(), series) == []


def test_a_query_without_an_answer_is_noticed(promtool: Path, tmp_path: Path) -> None:
    series = series_of("t2v_leader 1.0\n", "operator")
    queries = {"there": 't2v_leader{namespace=~"$namespace"}', "not there": "sum(t2v_no_such)"}
    assert unanswered(promtool, tmp_path, queries, series) == ["not there"]


def test_every_alert_rings_in_some_scenario() -> None:
    scenarios = (HERE / "rules.test.yaml").read_text()
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert [alert for alert in alerts if alert not in scenarios] == []

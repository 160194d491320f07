"""Alerts, recorded figures, the dashboard and the runbook fit the metrics that there are."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry
from t2v_api.reasons import SUCCEEDED, ModelReason, Reason, Waiting
from t2v_gateway.metrics import NO_ROUTE
from t2v_gateway.metrics import Metrics as GatewayMetrics
from t2v_operator.cluster.metrics import Levels, Metrics
from t2v_operator.core.status import STALLED

from tests.prometheus import RULES, dashboard_queries
from tests.unit.gateway.world import a_standing_world

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
OF_PROMETHEUS = {"namespace", "job", "instance", "pod"}
"""Labels that whoever scrapes gives to everything."""
OF_USERS = {
    *(Reason.INVALID_SPEC, Reason.MODEL_NOT_FOUND, Reason.INVALID_REQUEST),
    *(Reason.SCHEDULER_NOT_SUPPORTED, Reason.INIT_MEDIA_NOT_SUPPORTED),
    *(Reason.INIT_MEDIA_UNAVAILABLE, Reason.INIT_MEDIA_REFUSED, Reason.WEBHOOK_REFUSED),
    *(Reason.POOL_NEEDS_KEY, Reason.KEY_REFUSED, Reason.STOPPED, Reason.JOB_DELETED),
    *(Reason.DEADLINE_EXCEEDED, Reason.QUEUE_DEADLINE_EXCEEDED, Reason.CANCELLED),
}
"""What a user asked for in vain, or ended: no alert."""


OF_THE_PAGE = ("/page/api/events", "/page/api/videos")
"""Routes that are not in the OpenAPI document."""


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


QUERIES = {
    **{name: rule["expr"] for name, rule in ALERTS.items()},
    **RECORDED,
    **dashboard_queries(),
}


@cache
def metrics() -> dict[str, set[str]]:
    """Each series that the operator and the gateway can have, with its labels."""
    operator, gateway = Metrics(), GatewayMetrics()
    nothing: Any = dict
    operator.registry.register(Levels(nothing, nothing, nothing, nothing, int, int, bool))
    return {**series_of(operator.registry), **series_of(gateway.registry)}


def series_of(registry: CollectorRegistry) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for collector in list(registry._collector_to_names):
        for family in collector.collect():
            labels = set(getattr(collector, "_labelnames", LABELS_OF_LEVELS.get(family.name, ())))
            endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
            for ending in endings.get(family.type, ("",)):
                more = {"le"} if ending == "_bucket" else set()
                known[family.name + ending] = labels | more
    return known


LABELS_OF_LEVELS = {
    "t2v_jobs": ("phase", "model", "pool", "reason"),
    "t2v_models": ("phase", "reason"),
    "t2v_cache_objects": ("kind",),
    "t2v_cache_age_seconds": ("kind",),
}


def parsed(query: str) -> Any:
    return promql_parser.parse(query.replace("$__rate_interval", "5m"))


def nodes(expression: Any) -> Iterator[Any]:
    yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(expression, name, None)
        if child is not None and not isinstance(child, str | float | int):
            yield from nodes(child)
    for child in getattr(expression, "args", None) or ():
        yield from nodes(child)


def labels_of(selector: Any) -> set[str]:
    name = selector.name
    if name in RECORDED:
        return output_labels(parsed(RECORDED[name]))
    assert name in metrics(), f"there is no metric {name}"
    return metrics()[name] | OF_PROMETHEUS


def output_labels(expression: Any) -> set[str]:
    """Those that a recorded figure has: of its outermost aggregation, or of what it selects."""
    for node in nodes(expression):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql_parser.AggregateExpr) and modifier is not None:
            return set(modifier.labels) - {"le"}
        if isinstance(node, promql_parser.VectorSelector):
            return labels_of(node)
    raise AssertionError("it selects nothing")


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_asks_for_metrics_and_labels_that_there_are(name: str) -> None:
    seen = list(nodes(parsed(QUERIES[name])))
    selectors = [node for node in seen if isinstance(node, promql_parser.VectorSelector)]
    assert selectors
    there = [labels_of(selector) for selector in selectors]
    for selector, labels in zip(selectors, there, strict=True):
        assert {each.name for each in selector.matchers.matchers} <= labels
    for node in seen:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            assert set(node.modifier.labels) <= set.union(*there)


def test_a_query_of_something_that_is_not_there_is_noticed() -> None:
    """The test above could fail."""
    (selector,) = (
        node
        for node in nodes(parsed("sum by (pool) (rate(t2v_no_such_total[5m]))"))
        if isinstance(node, promql_parser.VectorSelector)
    )
    with pytest.raises(AssertionError, match="no metric"):
        labels_of(selector)
    assert "pool" not in metrics()["t2v_leader"]
    assert metrics()["t2v_queue_wait_seconds_bucket"] == {"model", "pool", "le"}


def test_every_metric_is_on_the_dashboard() -> None:
    asked = " ".join([*dashboard_queries().values(), *RECORDED.values()])
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics()}
    assert [name for name in sorted(families) if name not in asked] == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_leads_to_its_page(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    told = alert["annotations"]
    assert told["summary"].endswith(".")
    assert told["description"].endswith(".")
    assert told["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    section = re.search(rf"^## {name}\n(.*?)(?=^#)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert section, f"docs/runbook.md has no section {name}"
    for part in ("**Means:**", "**Look:**", "**Do:**"):
        assert part in section[1]


def test_every_page_of_the_runbook_is_of_an_alert() -> None:
    pages = re.findall(r"^## (T2V\w+)$", RUNBOOK, re.MULTILINE)
    assert pages == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_description_names_labels_that_its_query_leaves(name: str) -> None:
    left = {
        label
        for node in nodes(parsed(ALERTS[name]["expr"]))
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
        for label in node.modifier.labels
    } | {
        label
        for node in nodes(parsed(ALERTS[name]["expr"]))
        if isinstance(node, promql_parser.VectorSelector)
        for label in labels_of(node)
    }
    named = set(re.findall(r"\$labels\.(\w+)", str(ALERTS[name]["annotations"])))
    assert named <= left


def table(section: str) -> dict[str, list[str]]:
    found = re.search(rf"^## {section}\n(.*?)(?=^#|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert found
    rows = [line.strip("| ").split(" | ") for line in found[1].splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows[2:]}


@pytest.mark.parametrize(
    ("section", "reasons"),
    [
        ("Videos that have failed", set(Reason)),
        ("Videos that are on their way", {*Waiting, SUCCEEDED}),
        ("VideoModels", set(ModelReason)),
    ],
)
def test_the_runbook_explains_every_reason_and_no_other(section: str, reasons: set[str]) -> None:
    rows = table(section)
    assert set(rows) == {str(reason) for reason in reasons}
    for reason, told in rows.items():
        assert len(told) == 2, reason
        assert all(told), reason


def reasons_in(query: str) -> set[str]:
    found = re.search(r'reason[!=]~"([^"]*)"', query)
    assert found
    return set(found[1].split("|"))


def test_what_users_asked_for_in_vain_is_no_fault() -> None:
    assert reasons_in(RECORDED["namespace_job_reason:t2v_faults:increase1h"]) == {*OF_USERS}


def test_the_gateways_routes_that_may_take_long_are_those_that_it_has() -> None:
    found = re.search(r'route!~"([^"]*)"', ALERTS["T2VGatewaySlow"]["expr"])
    assert found
    routes = {*a_standing_world().app.openapi()["paths"], *OF_THE_PAGE, NO_ROUTE}
    for pattern in found[1].split("|"):
        assert [route for route in routes if re.fullmatch(pattern, route)], pattern
    assert not re.fullmatch(found[1], "/v1/videos/{video_id}")


def test_what_stalls_is_told() -> None:
    assert reasons_in(ALERTS["T2VVideosStalled"]["expr"]) == {*STALLED}


def test_the_observability_page_names_every_alert_with_its_severity() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    for severity in ("critical", "warning"):
        row = re.search(rf"^\| {severity} \| (.*) \|$", page, re.MULTILINE)
        assert row
        wanted = {n for n, alert in ALERTS.items() if alert["labels"]["severity"] == severity}
        assert set(row[1].split(", ")) == wanted
    assert [name for name in RECORDED if name not in page] == []

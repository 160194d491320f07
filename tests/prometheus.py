"""Ask Prometheus's own engine: whether queries answer, over metrics as a program serves them."""

import json
from pathlib import Path
from typing import Any

import yaml
from harness.commands import run
from harness.errors import CommandError
from prometheus_client.parser import text_string_to_metric_families

FILES = Path(__file__).parents[1] / "charts" / "text-to-video-operator" / "files"
RULES = FILES / "rules.yaml"
MINUTES = 30


def dashboard_queries() -> dict[str, str]:
    """Of each panel, by its title and the query's letter."""
    panels = json.loads((FILES / "dashboard.json").read_text())["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels
        for target in panel.get("targets", ())
    }


def series_of(text: str, job: str) -> list[dict[str, str]]:
    """What Prometheus has after it has read `text` for half an hour: nothing has changed."""
    target = {"namespace": "t2v-system", "job": job, "instance": "10.0.0.1:8080", "pod": "pod-1"}
    return [
        {
            "series": f"{sample.name}{_labels(target | sample.labels)}",
            "values": f"{sample.value}x{MINUTES}",
        }
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]


def unanswered(
    promtool: Path, folder: Path, queries: dict[str, str], series: list[dict[str, str]]
) -> list[str]:
    """The names of those queries that have no answer."""
    if _answer(promtool, folder, list(queries.values()), series):
        return []
    return [
        name for name, query in queries.items() if not _answer(promtool, folder, [query], series)
    ]


def _answer(promtool: Path, folder: Path, queries: list[str], series: list[dict[str, str]]) -> bool:
    asked = (
        query.replace("$__rate_interval", "5m").replace("$namespace", ".*") for query in queries
    )
    tests = [
        {
            "expr": f"count({query}) > bool 0",
            "eval_time": f"{MINUTES}m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for query in asked
    ]
    document: dict[str, Any] = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}],
    }
    file = folder / "queries.test.yaml"
    file.write_text(yaml.safe_dump(document))
    try:
        run([promtool, "test", "rules", file])
    except CommandError as error:
        if "got: nil" in str(error):
            return False
        raise
    return True


def _labels(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"

"""The Grafana dashboard: what each panel asks. `scripts/generate.py` writes its JSON.

Every replica tells the same of resources and models, so those are the largest of what replicas say.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

HERE = '{namespace=~"$namespace"}'
WINDOW = "$__rate_interval"
COLUMNS, HEIGHT = 24, 8
Kind = Literal["timeseries", "stat", "bargauge"]


@dataclass(frozen=True)
class Panel:
    """One picture: its queries, each with the legend of its lines."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    stacked: bool = False
    text: str = ""


def _most(metric: str, *labels: str, where: str = "") -> str:
    """Of what every replica tells: the sum within one, and the largest of those."""
    wanted = f", {where}" if where else ""
    chosen = f'{metric}{{namespace=~"$namespace"{wanted}}}'
    within = ", ".join(("namespace", "job", "instance", *labels))
    return f"max by ({', '.join(('namespace', 'job', *labels))}) (sum by ({within}) ({chosen}))"


def _rate(metric: str, *labels: str) -> str:
    return f"sum by ({', '.join(labels)}) (rate({metric}{HERE}[{WINDOW}]))"


def _in_a_day(metric: str, *labels: str, share: str = "1") -> tuple[str, str]:
    """What was counted in 24 hours, over `share`."""
    query = f"sum by ({', '.join(labels)}) (increase({metric}{HERE}[1d])) / {share}"
    return query, " ".join(f"{{{{{label}}}}}" for label in labels)


def _quantile(share: float, metric: str, *labels: str, window: str = WINDOW) -> str:
    by = ", ".join((*labels, "le"))
    return f"histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket{HERE}[{window}])))"


def _quantiles(metric: str, label: str, window: str = WINDOW) -> tuple[tuple[str, str], ...]:
    named = f"{{{{{label}}}}}"
    return (
        (_quantile(0.5, metric, label, window=window), f"{named} half"),
        (_quantile(0.9, metric, label, window=window), f"{named} nine in ten"),
    )


ROWS: dict[str, tuple[Panel, ...]] = {
    "Videos": (
        Panel(
            "Now",
            ((_most("t2v_jobs", "phase"), "{{phase}}"),),
            kind="stat",
            width=16,
            text="TextToVideoJobs there are, by phase.",
        ),
        Panel(
            "GPU hours of the last day",
            (
                (
                    f"sum by (model) (namespace_job_model_pool:t2v_gpu_hours:increase1d{HERE})",
                    "{{model}}",
                ),
            ),
            unit="h",
            kind="bargauge",
            text="Needs the chart's recording rules (metrics.rules.enabled).",
        ),
        Panel(
            "Waiting and running by pool",
            (
                (
                    _most("t2v_jobs", "pool", "phase", where='phase=~"Queued|Running"'),
                    "{{pool}} {{phase}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Why they wait",
            (
                (
                    _most("t2v_jobs", "reason", where='phase=~"Pending|Queued|Suspended"'),
                    "{{reason}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Ended, in an hour",
            (
                (
                    f"sum by (outcome, reason) (increase(t2v_jobs_ended_total{HERE}[1h]))",
                    "{{outcome}} {{reason}}",
                ),
            ),
            stacked=True,
        ),
        Panel("Wait for a GPU", _quantiles("t2v_queue_wait_seconds", "pool", "1h"), unit="s"),
        Panel("Making a video", _quantiles("t2v_generation_seconds", "model", "1h"), unit="s"),
        Panel(
            "GPUs held by ended runs",
            ((_rate("t2v_gpu_seconds_sum", "pool", "outcome"), "{{pool}} {{outcome}}"),),
            text="GPU seconds a second; a run is counted at its end.",
        ),
        Panel(
            "GPU hours by namespace, in a day",
            (_in_a_day("t2v_namespace_gpu_seconds_total", "video_namespace", share="3600"),),
            unit="h",
        ),
        Panel(
            "GPU hours by API key, in a day",
            (_in_a_day("t2v_key_gpu_seconds_total", "key", share="3600"),),
            unit="h",
        ),
        Panel(
            "Cost in a day",
            (
                _in_a_day("t2v_namespace_cost_total", "video_namespace", "currency"),
                _in_a_day("t2v_key_cost_total", "key", "currency"),
                _in_a_day("t2v_model_cost_total", "model", "currency"),
            ),
            text="By namespace, by API key and by model: three sums of the same. In pools with a "
            "price.",
        ),
    ),
    "Models": (
        Panel("VideoModels", ((_most("t2v_models", "phase", "reason"), "{{phase}} {{reason}}"),)),
        Panel(
            "In the model cache",
            ((f"max by (namespace, job) (t2v_model_cache_bytes{HERE})", "{{namespace}}"),),
            unit="bytes",
        ),
        Panel(
            "Fetched",
            (
                (_rate("t2v_model_fetched_bytes_total", "model"), "{{model}}"),
                (_rate("t2v_model_fetches_failed_total", "model"), "{{model}} failed"),
            ),
            unit="Bps",
        ),
        Panel("Fetching one", _quantiles("t2v_model_fetch_seconds", "model", "1d"), unit="s"),
    ),
    "Delivery": (
        Panel(
            "Webhooks that wait",
            ((f"max by (namespace, job) (t2v_webhooks_waiting{HERE})", "{{namespace}}"),),
        ),
        Panel(
            "Attempts of webhooks",
            ((_rate("t2v_webhook_attempts_total", "outcome"), "{{outcome}}"),),
            unit="reqps",
        ),
        Panel(
            "What the store did not do",
            (
                (_rate("t2v_store_errors_total", "operation"), "{{operation}}"),
                (f"sum(rate(t2v_outputs_left_total{HERE}[{WINDOW}]))", "files left behind"),
            ),
            unit="reqps",
        ),
    ),
    "The operator": (
        Panel("Who leads", ((f"t2v_leader{HERE}", "{{pod}}"),), kind="stat"),
        Panel(
            "Looks",
            (
                (f"sum(rate(t2v_look_seconds_count{HERE}[{WINDOW}]))", "looks"),
                (f"sum(rate(t2v_look_errors_total{HERE}[{WINDOW}]))", "errors"),
            ),
            unit="ops",
        ),
        Panel(
            "How long a look takes",
            (
                (_quantile(0.5, "t2v_look_seconds"), "half"),
                (_quantile(0.99, "t2v_look_seconds"), "99 in 100"),
            ),
            unit="s",
        ),
        Panel(
            "Waiting for a look",
            ((f"max by (namespace, job) (t2v_queue_depth{HERE})", "{{namespace}}"),),
        ),
        Panel(
            "Age of the cache",
            ((f"max by (kind) (t2v_cache_age_seconds{HERE})", "{{kind}}"),),
            unit="s",
        ),
        Panel("In the cache", ((f"max by (kind) (t2v_cache_objects{HERE})", "{{kind}}"),)),
        Panel(
            "Requests to the API server",
            ((_rate("t2v_api_calls_total", "verb", "kind", "code"), "{{verb}} {{kind}} {{code}}"),),
            unit="reqps",
            width=16,
        ),
        Panel(
            "How long it takes to answer",
            ((_quantile(0.9, "t2v_api_call_seconds", "verb"), "{{verb}} nine in ten"),),
            unit="s",
        ),
    ),
    "The gateway": (
        Panel(
            "Answers",
            ((_rate("t2v_gateway_requests_total", "code"), "{{code}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel("How long they take", _quantiles("t2v_gateway_request_seconds", "route"), unit="s"),
        Panel("Being answered", ((f"sum(t2v_gateway_open_requests{HERE})", "requests"),)),
    ),
}


def dashboard_json() -> str:
    """The dashboard as Grafana imports it."""
    return json.dumps(_dashboard(), indent=1) + "\n"


def _dashboard() -> dict[str, Any]:
    return {
        "uid": "text-to-video-operator",
        "title": "Text-to-video operator",
        "tags": ["text-to-video"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_SOURCE, _NAMESPACE]},
        "panels": _panels(),
    }


_PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
_SOURCE = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
_NAMESPACE = {
    "name": "namespace",
    "type": "query",
    "label": "Namespace of the operator",
    "datasource": _PROMETHEUS,
    "query": {"query": "label_values(t2v_leader, namespace)", "refId": "namespace"},
    "refresh": 2,
    "multi": True,
    "includeAll": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
}


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    x = y = 0
    for title, row in ROWS.items():
        if x:
            x, y = 0, y + HEIGHT
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []}
        )
        y += 1
        for panel in row:
            if x + panel.width > COLUMNS:
                x, y = 0, y + HEIGHT
            place = {"x": x, "y": y, "w": panel.width, "h": HEIGHT}
            panels.append({"id": len(panels) + 1, **_panel(panel), "gridPos": place})
            x += panel.width
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    drawn = {"fillOpacity": 30, "stacking": {"mode": "normal"}} if panel.stacked else {}
    targets = [
        {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend}
        for number, (query, legend) in enumerate(panel.queries)
    ]
    if panel.kind != "timeseries":
        targets = [{**each, "instant": True} for each in targets]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _PROMETHEUS,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": drawn}, "overrides": []},
    }

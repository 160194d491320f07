"""What Prometheus is told: figures that stay few, whatever people name their things."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from t2v_api.resource import Phase
from t2v_operator.cluster.controller import Operator
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES
from t2v_operator.cluster.metrics import JobLabels, Levels, Metrics

from tests.unit.builders import a_config
from tests.unit.observations import (
    a_record_of,
    a_resource_document,
    a_status,
    queued,
    running,
    succeeded,
)

ROOT = Path(__file__).parents[3]
LABELS = {"phase", "model", "pool", "reason", "outcome", "kind", "verb", "code", "le"}


def levels(jobs: Iterable[JobLabels] = ()) -> Levels:
    return Levels(
        jobs=lambda: jobs,
        sizes=lambda: {JOBS: 7},
        ages=lambda: {JOBS: 1.5},
        depth=lambda: 3,
        leads=lambda: True,
    )


def lines(metrics: Metrics) -> list[str]:
    text = generate_latest(metrics.registry).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def wrote(metrics: Metrics, before: Any, after: Any, **told: Any) -> None:
    fields = {"model": "tiny-shapes", "pool": after.pool, "gpus": 2, "waited_seconds": None}
    metrics.wrote(before, after, **{**fields, **told})


def test_jobs_are_counted_by_phase_model_pool_and_reason() -> None:
    metrics = Metrics()
    one = ("Running", "tiny-shapes", "default", "Running")
    metrics.registry.register(levels([one, one, ("Failed", "", "", "ModelNotFound")]))
    told = {line for line in lines(metrics) if line.startswith("t2v_jobs")}
    assert told == {
        't2v_jobs{model="tiny-shapes",phase="Running",pool="default",reason="Running"} 2.0',
        't2v_jobs{model="",phase="Failed",pool="",reason="ModelNotFound"} 1.0',
    }


def test_the_operators_own_levels_are_told() -> None:
    metrics = Metrics()
    metrics.registry.register(levels())
    assert {
        't2v_cache_objects{kind="jobs"} 7.0',
        't2v_cache_age_seconds{kind="jobs"} 1.5',
        "t2v_queue_depth 3.0",
        "t2v_leader 1.0",
    } <= set(lines(metrics))


def test_every_label_is_one_of_a_few() -> None:
    metrics = Metrics()
    metrics.registry.register(levels([("Running", "tiny-shapes", "default", "Running")]))
    metrics.called("patch", PODS, 200, 0.01)
    metrics.looked(0.1)
    wrote(metrics, queued(), running(), waited_seconds=5.0)
    wrote(metrics, running(), succeeded())
    names = {name for line in lines(metrics) for name in re.findall(r'(\w+)="', line)}
    assert names <= LABELS


def test_every_figure_is_explained() -> None:
    metrics = Metrics()
    metrics.registry.register(levels())
    for family in metrics.registry.collect():
        assert family.documentation.endswith("."), family.name


def test_every_figure_is_documented() -> None:
    metrics = Metrics()
    metrics.registry.register(levels())
    page = (ROOT / "docs" / "metrics.md").read_text()
    families = [family.name for family in metrics.registry.collect()]
    assert [name for name in families if name not in page] == []


def test_models_that_nobody_has_do_not_become_labels() -> None:
    """Whoever may make resources could else fill Prometheus with names."""
    connection: Any = None
    operator = Operator(connection, a_config())
    for number in range(20):
        spec = {"modelId": f"no-such-model-{number}"}
        failed = a_status(spec=spec)
        name = f"red-circle-{number}"
        record = a_record_of(failed, spec=spec, name=name)
        document = a_resource_document(spec=spec, status=failed, record=record, name=name)
        document["metadata"]["resourceVersion"] = str(number + 1)
        operator._cache.resources.event("ADDED", document, None)
    assert not [line for line in lines(operator._metrics) if "no-such-model" in line]
    told = [line for line in lines(operator._metrics) if line.startswith("t2v_jobs")]
    assert len(told) == 1
    assert told[0].endswith(" 20.0")


def test_requests_are_counted_by_verb_kind_and_code() -> None:
    metrics = Metrics()
    metrics.called("update", RESOURCES, 409, 0.01)
    assert 't2v_api_calls_total{code="409",kind="texttovideojobs",verb="update"} 1.0' in lines(
        metrics
    )


def test_a_wait_ends_when_it_runs_and_a_generation_with_its_video() -> None:
    metrics = Metrics()
    labels = '{model="tiny-shapes",pool="default"}'
    wrote(metrics, queued(), running(), waited_seconds=5.0)
    assert f"t2v_queue_wait_seconds_sum{labels} 5.0" in lines(metrics)
    wrote(metrics, running(), succeeded(), waited_seconds=5.0)
    assert f"t2v_generation_seconds_sum{labels} 12.34" in lines(metrics)
    assert f"t2v_queue_wait_seconds_count{labels} 1.0" in lines(metrics), "once"


def test_gpu_seconds_are_those_of_all_attempts_times_the_gpus() -> None:
    metrics = Metrics()
    wrote(metrics, running(), succeeded())
    labels = '{model="tiny-shapes",outcome="Succeeded",pool="default"}'
    assert f"t2v_gpu_seconds_sum{labels} 96.0" in lines(metrics), "two GPUs for 48 s"


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.SUCCEEDED])
def test_the_same_phase_again_counts_nothing(phase: Phase) -> None:
    metrics = Metrics()
    status = running() if phase is Phase.RUNNING else succeeded()
    wrote(metrics, status, status, waited_seconds=1.0)
    assert not [line for line in lines(metrics) if re.match(r"t2v_(queue|gen|gpu)", line)]

"""What Prometheus is told: figures that stay few, whatever people name their things."""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from t2v_api.resource import Phase, WebhookStatus
from t2v_operator.cluster.controller import Operator
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES
from t2v_operator.cluster.metrics import JobLabels, Levels, Metrics
from t2v_operator.cluster.reporting import Delivery
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.delivery.stores import StoreUnavailable

from tests.unit.builders import a_config
from tests.unit.model_observations import COMMIT, a_model, told
from tests.unit.observations import (
    a_job_seen,
    a_pod,
    a_record_of,
    a_resource_document,
    a_resource_seen,
    a_status,
    at,
    queued,
    running,
    succeeded,
)

ROOT = Path(__file__).parents[3]
LABELS = {"operation", "phase", "model", "pool", "reason", "outcome", "kind", "verb", "code", "le"}


def levels(jobs: Iterable[JobLabels] = (), models: Iterable[ObservedModel] = ()) -> Levels:
    return Levels(
        jobs=lambda: jobs,
        models=lambda: models,
        sizes=lambda: {JOBS: 7},
        ages=lambda: {JOBS: 1.5},
        depth=lambda: 3,
        webhooks=lambda: 4,
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


def test_models_are_counted_and_their_bytes_once() -> None:
    fetched = told(True, sources="owner/name@main", commit=COMMIT, bytes=300)
    models = (
        a_model(status=fetched),
        a_model(name="the-same", status=fetched),
        a_model(name="other", source={"hub": "owner/b", "revision": "main"}, status=fetched),
        a_model(name="on-its-way", status=told(False, commit=COMMIT, bytes=70)),
        a_model(name="new"),
        a_model(name="of-the-image", source={"path": "a"}, prefetch=None, status=told(True)),
    )
    metrics = Metrics()
    metrics.registry.register(levels(models=models))
    assert {
        't2v_models{phase="Ready",reason="Available"} 4.0',
        't2v_models{phase="Reconciling",reason="Prefetching"} 1.0',
        't2v_models{phase="Pending",reason=""} 1.0',
        "t2v_model_cache_bytes 600.0",
    } <= set(lines(metrics))


def test_the_operators_own_levels_are_told() -> None:
    metrics = Metrics()
    metrics.registry.register(levels())
    assert {
        't2v_cache_objects{kind="jobs"} 7.0',
        't2v_cache_age_seconds{kind="jobs"} 1.5',
        "t2v_queue_depth 3.0",
        "t2v_webhooks_waiting 4.0",
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


def an_operator() -> Operator:
    nothing: Any = None
    return Operator(nothing, Delivery(a_config(), session=nothing, store=None, certificate=None))


def test_models_that_nobody_has_do_not_become_labels() -> None:
    """Whoever may make resources could else fill Prometheus with names."""
    operator = an_operator()
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


def figures(operator: Operator, *names: str) -> list[str]:
    return [line for line in lines(operator._metrics) if line.startswith(names)]


def test_pools_and_reasons_that_nobody_has_do_not_become_labels() -> None:
    """Who may write a status, or has removed a pool from the configuration, names none."""
    operator = an_operator()
    of_old = {"pool": "a-pool-of-old"}
    made_up = running().model_copy(
        update=of_old
        | {
            "conditions": tuple(
                each.model_copy(update={"reason": "MadeUp"}) for each in running().conditions
            )
        }
    )
    ended = succeeded().model_copy(update=of_old)
    record = a_record_of(ended)
    for number, (name, status) in enumerate((("a", made_up), ("b", ended))):
        document = a_resource_document(
            status=status, record=record if status is ended else "", name=name
        )
        document["metadata"]["resourceVersion"] = str(number + 1)
        operator._cache.resources.event("ADDED", document, None)
    assert figures(operator, "t2v_jobs") == [
        't2v_jobs{model="tiny-shapes",phase="Running",pool="",reason=""} 1.0',
        't2v_jobs{model="tiny-shapes",phase="Succeeded",pool="",reason="Succeeded"} 1.0',
    ]


@pytest.mark.parametrize(
    ("spec", "status", "labels"),
    [
        pytest.param({}, {"pool": "a-pool-of-old"}, 'model="tiny-shapes",pool=""', id="a pool"),
        pytest.param({"modelId": "of-old"}, {}, 'model="",pool="default"', id="a model"),
    ],
)
def test_an_end_is_counted_under_names_that_are_configured_alone(
    spec: dict[str, Any], status: dict[str, Any], labels: str
) -> None:
    operator = an_operator()
    seen = a_resource_seen(spec=spec, status=queued())
    operator._count_end(seen, running().model_copy(update=status))
    seen = a_resource_seen(spec=spec, status=running())
    operator._count_end(seen, succeeded().model_copy(update=status))
    told = figures(operator, "t2v_queue_wait", "t2v_generation")
    assert told
    assert all(labels in line for line in told)
    assert "of-old" not in str(told)


def test_what_is_restored_from_a_record_counts_nothing() -> None:
    """Whoever may write annotations could else write figures."""
    operator = an_operator()
    names = ("t2v_queue_wait", "t2v_generation", "t2v_gpu")
    record = a_record_of(succeeded().model_copy(update={"generation_time": 1e9}))
    status = a_status(record=record)
    assert status.phase is Phase.SUCCEEDED
    operator._count_end(a_resource_seen(record=record), status)
    assert figures(operator, *names) == []
    operator._count_end(a_resource_seen(status=running()), succeeded())
    assert figures(operator, *names), "as that of a video that was made does"


def test_a_wait_is_counted_once_for_a_request_and_not_after_a_preemption() -> None:
    metrics = Metrics()
    labels = '{model="tiny-shapes",pool="default"}'
    preempted = a_status(
        status=running(),
        job=a_job_seen(suspend=True),
        pods=(a_pod(exit_code=143, disrupted="preempted"),),
    )
    assert preempted.phase is Phase.QUEUED
    again = a_status(status=preempted, job=a_job_seen(), pods=(a_pod("pod-2", running=True),))
    assert again.phase is Phase.RUNNING
    wrote(metrics, queued(), running(), waited_seconds=5.0)
    wrote(metrics, running(), preempted, waited_seconds=5.0)
    wrote(metrics, preempted, again, waited_seconds=5.0)
    assert f"t2v_queue_wait_seconds_count{labels} 1.0" in lines(metrics)


def test_each_request_of_a_resource_has_a_wait() -> None:
    """Its first status may be that it runs, where the pod began within some seconds."""
    metrics = Metrics()
    spec = {"prompt": "a blue circle"}
    job, pods = a_job_seen(spec), (a_pod(running=True),)
    runs = a_status(spec=spec, status=succeeded(), job=job, pods=pods, generation=2)
    assert runs.phase is Phase.RUNNING
    wrote(metrics, succeeded(), runs, waited_seconds=5.0)
    assert [line for line in lines(metrics) if line.startswith("t2v_queue_wait_seconds_count")]


def test_the_wait_of_an_edited_resource_does_not_count_from_its_creation() -> None:
    """A day after the first video, a second one that began at once has not waited for a day."""
    operator = an_operator()
    spec, day = {"prompt": "a blue circle"}, 24 * 3600
    changed = a_status(
        spec=spec, status=succeeded(), earlier_jobs=(a_job_seen(),), generation=2, now=day
    )
    runs = a_status(
        spec=spec,
        status=changed,
        job=a_job_seen(spec, made=day),
        pods=(a_pod(running=True, made=day),),
        generation=2,
        now=day + 5,
    )
    operator._count_end(a_resource_seen(spec=spec, status=changed, generation=2), runs)
    sums = [float(line.split()[-1]) for line in figures(operator, "t2v_queue_wait_seconds_sum")]
    assert sum(sums) < 60


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


def test_gpu_seconds_are_those_of_the_pool_that_each_attempt_ran_in() -> None:
    metrics, status = Metrics(), succeeded()
    attempt = status.attempts[0].model_copy(update={"pool": "small"})
    wrote(metrics, running(), status.model_copy(update={"attempts": (*status.attempts, attempt)}))
    for pool in ("default", "small"):
        labels = f'{{model="tiny-shapes",outcome="Succeeded",pool="{pool}"}}'
        assert f"t2v_gpu_seconds_sum{labels} 96.0" in lines(metrics)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.SUCCEEDED])
def test_the_same_phase_again_counts_nothing(phase: Phase) -> None:
    metrics = Metrics()
    status = running() if phase is Phase.RUNNING else succeeded()
    wrote(metrics, status, status, waited_seconds=1.0)
    assert not [line for line in lines(metrics) if re.match(r"t2v_(queue|gen|gpu)", line)]


def test_an_end_is_counted_by_its_reason_and_once() -> None:
    operator = an_operator()
    failed = a_status(spec={"modelId": "no-such-model"})
    assert failed.phase is Phase.FAILED
    operator._wrote(a_resource_seen(spec={"modelId": "no-such-model"}), failed)
    operator._wrote(a_resource_seen(status=running()), succeeded())
    operator._wrote(a_resource_seen(status=succeeded()), succeeded())
    record = a_record_of(succeeded())
    operator._wrote(a_resource_seen(record=record), a_status(record=record))
    assert set(figures(operator, "t2v_jobs_ended_total")) == {
        't2v_jobs_ended_total{model="",outcome="Failed",pool="",reason="ModelNotFound"} 1.0',
        't2v_jobs_ended_total{model="tiny-shapes",outcome="Succeeded",pool="default",'
        'reason="Succeeded"} 1.0',
    }


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({"delivered_time": at(1)}, "delivered"),
        ({"next_attempt_time": at(1)}, "failed"),
        ({"given_up_time": at(1)}, "given-up"),
    ],
)
def test_attempts_of_webhooks_are_counted_by_what_came_of_them(
    told: dict[str, Any], outcome: str
) -> None:
    metrics = Metrics()
    metrics.tried_webhook(WebhookStatus(attempts=1, **told))
    counted = [line for line in lines(metrics) if line.startswith("t2v_webhook_attempts_total")]
    assert f't2v_webhook_attempts_total{{outcome="{outcome}"}} 1.0' in counted
    assert len(counted) == 3, "those that did not happen are 0"


def test_what_the_store_does_not_do_is_counted() -> None:
    class Away:
        async def link(self, _: str) -> str:
            raise StoreUnavailable("the store answered 500")

    nothing: Any = None
    store: Any = Away()
    operator = Operator(nothing, Delivery(a_config(), nothing, store, certificate=None))
    with pytest.raises(StoreUnavailable):
        asyncio.run(operator._reporting._delivery.store.link("key"))  # type: ignore[union-attr]
    assert 't2v_store_errors_total{operation="link"} 1.0' in lines(operator._metrics)

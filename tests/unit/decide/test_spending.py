"""What a request has taken of GPUs, and what that cost, run by run."""

from dataclasses import replace
from typing import Any

import pytest
from t2v_api.base import ContractError
from t2v_api.reasons import Reason
from t2v_api.resource import Cost, Phase, TextToVideoJobStatus
from t2v_operator.config import OperatorConfig

from tests.unit.builders import a_config
from tests.unit.observations import (
    a_failure,
    a_job_seen,
    a_pod,
    a_pod_of_a_lost_node,
    a_record_of,
    a_result,
    a_status,
    queued,
    running,
)

FAULT = a_failure(Reason.RUNNER_FAULT)
RUN_SECONDS = 48
"""Of a pod of the tests, from its start to its end."""


def priced(price: float = 3.6, currency: str = "EUR", gpus: int = 1) -> OperatorConfig:
    document = free(gpus).document()
    for pool in document["pools"]:
        pool |= {"pricePerGpuHour": price, "currency": currency}
    return OperatorConfig.parse(document)


def free(gpus: int = 1) -> OperatorConfig:
    return a_config(resources={"gpus": gpus})


def made(config: OperatorConfig, pods: tuple[Any, ...] = ()) -> TextToVideoJobStatus:
    pods = pods or (a_pod(exit_code=0, message=a_result()),)
    job = a_job_seen(config=config, complete=True)
    return a_status(config, status=queued(config=config), job=job, pods=pods)


def test_a_video_that_waits_has_taken_nothing() -> None:
    assert queued().gpu_seconds is None
    assert running().gpu_seconds is None


def test_a_finished_video_tells_what_it_took_and_cost() -> None:
    status = made(priced())
    assert status.gpu_seconds == RUN_SECONDS
    assert status.cost == Cost(amount="0.0480", currency="EUR")


def test_each_gpu_counts() -> None:
    config, job = priced(), a_job_seen(config=priced(), complete=True)
    assert job.plan_text
    two = job.plan_text.model.replace('"gpus":1', '"gpus":2')
    job = replace(job, plan_text=replace(job.plan_text, model=two))
    pods = (a_pod(exit_code=0, message=a_result()),)
    status = a_status(config, status=queued(config=config), job=job, pods=pods)
    assert status.gpu_seconds == 2 * RUN_SECONDS
    assert status.cost == Cost(amount="0.0960", currency="EUR")


def test_a_pool_without_a_price_costs_nothing_that_is_told() -> None:
    assert made(free()).gpu_seconds == RUN_SECONDS
    assert made(free()).cost is None


def test_a_model_that_needs_no_gpu_takes_none() -> None:
    assert made(priced(gpus=0)).gpu_seconds is None


def test_every_run_counts_once_however_often_it_is_looked_at() -> None:
    config, job = priced(), a_job_seen(config=priced())
    failed, second = a_pod(exit_code=1, message=FAULT), a_pod("pod-2", running=True, made=60)
    between = a_status(config, status=queued(config=config), job=job, pods=(failed,))
    assert between.gpu_seconds == RUN_SECONDS
    again = a_status(config, status=between, job=job, pods=(failed, second), now=120)
    assert again.gpu_seconds == RUN_SECONDS
    last = a_pod("pod-2", exit_code=0, message=a_result(), made=60)
    done = a_status(
        config, status=again, job=a_job_seen(config=config, complete=True), pods=(failed, last)
    )
    assert done.gpu_seconds == 2 * RUN_SECONDS
    assert done.cost == Cost(amount="0.0960", currency="EUR")
    assert a_status(config, status=done) == done


def test_runs_that_are_not_kept_any_more_still_count() -> None:
    config, job = priced(), a_job_seen({"maxDisruptions": 99}, config=priced())
    status = queued(config=config)
    for number in range(15):
        pod = a_pod(f"pod-{number}", exit_code=143, disrupted="evicted", made=100 * number)
        status = a_status(
            config, spec={"maxDisruptions": 99}, status=status, job=job, pods=(pod,), now=5000
        )
    assert (len(status.attempts), status.attempt_count) == (10, 15)
    assert status.gpu_seconds == 15 * RUN_SECONDS


def test_the_run_that_a_cancel_stops_counts_until_then() -> None:
    job, pods = a_job_seen(config=free()), (a_pod(running=True),)
    status = a_status(free(), spec={"cancel": True}, job=job, pods=pods, now=32)
    assert status.gpu_seconds == 30


def test_another_try_goes_on_counting_and_another_request_does_not() -> None:
    config = priced()
    failed = a_status(
        config,
        status=queued(config=config),
        job=a_job_seen(config=config, failed="BackoffLimitExceeded"),
        pods=(a_pod(exit_code=1, message=FAULT),),
    )
    assert failed.phase is Phase.FAILED
    again = a_status(config, spec={"retryToken": "a"}, status=failed, generation=2)
    assert (again.gpu_seconds, again.attempts) == (RUN_SECONDS, ())
    changed = a_status(config, spec={"prompt": "another"}, status=failed, generation=2)
    assert (changed.gpu_seconds, changed.cost) == (None, None)


def test_what_a_lost_status_said_of_it_is_restored() -> None:
    status = made(priced())
    restored = a_status(priced(), record=a_record_of(status))
    assert (restored.gpu_seconds, restored.cost) == (status.gpu_seconds, status.cost)


def test_a_currency_that_changed_meanwhile_is_not_added() -> None:
    euros = made(priced()).model_copy(update={"phase": Phase.RUNNING, "attempts": ()})
    job = a_job_seen(config=priced(), complete=True)
    pods = (a_pod("pod-2", exit_code=0, message=a_result()),)
    status = a_status(priced(currency="USD"), status=euros, job=job, pods=pods)
    assert status.gpu_seconds == 2 * RUN_SECONDS
    assert status.cost == euros.cost


def test_an_amount_is_decimal_text() -> None:
    assert made(priced(price=0.1)).cost == Cost(amount="0.0013", currency="EUR")


@pytest.mark.parametrize(
    ("pools", "message"),
    [
        ([{"pricePerGpuHour": 1.0}], "goes with a currency"),
        ([{"currency": "EUR"}], "goes with a currency"),
        ([{"pricePerGpuHour": -1.0, "currency": "EUR"}], "greater than or equal to 0"),
        ([{"pricePerGpuHour": 1.0, "currency": "euro"}], "pattern"),
        (
            [
                {"pricePerGpuHour": 1.0, "currency": "EUR"},
                {"name": "other", "pricePerGpuHour": 1.0, "currency": "USD"},
            ],
            "EUR, USD",
        ),
    ],
    ids=str,
)
def test_a_price_that_means_nothing_stops_the_operator(
    pools: list[dict[str, Any]], message: str
) -> None:
    document = a_config().document() | {"pools": [{"name": "default"} | pool for pool in pools]}
    with pytest.raises(ContractError, match=message):
        OperatorConfig.parse(document)


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(
            a_pod(disrupted="evicted", disrupted_at=902, phase="Failed"), id="nothing else is left"
        ),
        pytest.param(
            a_pod(running=True, disrupted="evicted", disrupted_at=902).as_gone, id="it is gone"
        ),
        pytest.param(a_pod(running=True, gone_by=902).as_gone, id="it was deleted"),
        pytest.param(a_pod_of_a_lost_node(since=902).as_gone, id="its node does not answer"),
    ],
)
def test_a_run_that_told_no_end_held_its_gpu_until_its_pod_was_taken_away(pod: Any) -> None:
    config, job, going_on = priced(), a_job_seen(config=priced()), (a_pod(running=True),)
    going = a_status(config, status=queued(config=config), job=job, pods=going_on, now=90)
    status = a_status(config, status=going, job=job, pods=(pod,), now=1000)
    assert status.gpu_seconds == 900
    assert a_status(config, status=status, job=job, pods=(pod,), now=2000).gpu_seconds == 900


def test_a_pod_that_was_taken_away_before_it_began_held_none() -> None:
    config, job = priced(), a_job_seen(config=priced())
    pod = a_pod(unschedulable="no GPU", disrupted="preempted", disrupted_at=900, phase="Failed")
    status = a_status(config, status=queued(config=config), job=job, pods=(pod,), now=1000)
    assert not status.gpu_seconds

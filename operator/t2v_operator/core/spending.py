"""What a request has taken of GPUs, and what that costs. Pure.

Counted run by run as they end: a status keeps the last ten runs alone, and another try begins with
none. The neighbour `t2v_gateway.spending` reads the runs of a status for a key's quota.
"""

from collections.abc import Iterator
from decimal import Decimal

from t2v_api.resource import Attempt, Cost, TextToVideoJobStatus

from t2v_operator.config import GpuPool, OperatorConfig
from t2v_operator.core.situation import Situation

HOUR_SECONDS = 3600
PLACES = Decimal("0.0001")


def with_spending(
    status: TextToVideoJobStatus, situation: Situation, key_id: str | None
) -> TextToVideoJobStatus:
    """`status`, with what the runs that ended since the one before have taken and cost.

    `key_id`: of the key that the Job has, where it has one.
    """
    before = situation.subject.before
    if before is None or before.request_hash != status.request_hash:
        before = None
    base = before or status
    seconds, cost = base.gpu_seconds, base.cost
    ended = list(_ended_since(before, status))
    if ended and (gpus := _gpus(situation)):
        for each in ended:
            held = gpus * _seconds(each)
            seconds = (seconds or 0) + held
            cost = _added(cost, each.pool or status.pool, held, situation.config)
    found = {"gpu_seconds": seconds, "cost": cost, "key_id": key_id or base.key_id}
    same = all(getattr(status, name) == value for name, value in found.items())
    return status if same else status.model_copy(update=found)


def _ended_since(
    before: TextToVideoJobStatus | None, after: TextToVideoJobStatus
) -> Iterator[Attempt]:
    known = {_run(each) for each in before.attempts if _is_over(each)} if before else set()
    return (each for each in after.attempts if _is_over(each) and _run(each) not in known)


def _run(attempt: Attempt) -> tuple[object, ...]:
    return attempt.pod_name, attempt.start_time


def _is_over(attempt: Attempt) -> bool:
    return attempt.start_time is not None and attempt.completion_time is not None


def _seconds(attempt: Attempt) -> float:
    assert attempt.start_time
    assert attempt.completion_time
    return max(0.0, (attempt.completion_time - attempt.start_time).total_seconds())


def _gpus(situation: Situation) -> int:
    """As its Job says; where that is gone, as its model does."""
    job, spec = situation.observed.job, situation.observed.resource.spec
    if job and job.plan_text:
        return job.plan_text.gpus
    found = situation.catalogue.find(spec.model_id) if spec else None
    return found.profile.resources.gpus if found else 0


def _added(
    cost: Cost | None, pool: str | None, seconds: float, config: OperatorConfig
) -> Cost | None:
    """`cost` and what so many GPU-seconds in the pool cost. Another currency is not added."""
    price = next((each for each in config.pools if each.name == pool), None)
    if price is None or price.price_per_gpu_hour is None or price.currency is None:
        return cost
    if cost is not None and cost.currency != price.currency:
        return cost
    amount = Decimal(cost.amount if cost else 0) + _price(price, seconds)
    return Cost(amount=str(amount.quantize(PLACES)), currency=price.currency)


def _price(pool: GpuPool, seconds: float) -> Decimal:
    return Decimal(str(pool.price_per_gpu_hour)) * Decimal(str(seconds)) / HOUR_SECONDS

"""`outputTtlSeconds`: when a finished resource is due to go, and what it says if it is kept. Pure.

The neighbour that removes only the finished Job is `ttlSecondsAfterFinished`.
"""

from datetime import datetime

from t2v_api.resource import TextToVideoJobStatus

from t2v_operator.core.observed import ObservedResource, Settled
from t2v_operator.core.webhook import is_due


def seconds_left(resource: ObservedResource | Settled, now: datetime) -> float | None:
    """Until its files go; None where they never do, or something else comes first."""
    if isinstance(resource, Settled):
        ttl = None if resource.webhook_is_due else resource.output_ttl_seconds
        completed = resource.completed
    else:
        ttl = _ttl_of(resource)
        completed = resource.status.completion_time if resource.status else None
    if ttl is None or completed is None:
        return None
    return max(0.0, ttl - (now - completed).total_seconds())


def _ttl_of(resource: ObservedResource) -> int | None:
    """Of a resource whose request has ended, as its spec is now, and whose webhook was told."""
    spec, status = resource.spec, resource.status
    has_ended = resource.is_finished and resource.is_observed and not resource.is_being_deleted
    if spec is None or status is None or not has_ended or is_due(spec.webhook, status):
        return None
    return ttl_that_counts(spec.output_ttl_seconds, resource.keeper, bool(status.output))


def ttl_that_counts(ttl_seconds: int | None, keeper: str, has_output: bool) -> int | None:
    """None also where nothing is left to go: a resource that is kept and has no files."""
    return None if keeper and not has_output else ttl_seconds


def without_output(
    status: TextToVideoJobStatus, ttl_seconds: int | None, keeper: str, now: datetime
) -> TextToVideoJobStatus:
    """The status of a resource that is kept without its files. It has succeeded all the same."""
    message = (
        f"the resource has no files any more, as outputTtlSeconds ({ttl_seconds}) says; "
        f"it stays because of {keeper}"
    )
    conditions = tuple(
        each.model_copy(update={"message": message}) if each.message == status.message else each
        for each in status.conditions
    )
    gone = {"output": (), "output_url": None, "link_expiry_time": None, "output_removed_time": now}
    told = {"message": message, "conditions": conditions}
    return status.model_copy(update=gone | told)

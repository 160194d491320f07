"""What of the expected times is worth telling. Pure.

Nothing is written for their sake but where they have moved, and that of the next few alone: ten
thousand videos that wait are not ten thousand writes whenever one of them is finished.
"""

from datetime import UTC, datetime

from t2v_api.resource import Estimate, Phase, TextToVideoJobStatus

from t2v_operator.core.estimates.line import Times

MOVED_SHARE = 0.1
"""Of the time that is left: less is not told for its own sake."""
MOVED_SECONDS = 10.0
"""Neither is less than that."""
LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
"""No calendar has what comes after that."""
UNDER_WAY = (Phase.QUEUED, Phase.RUNNING)


def with_times(
    status: TextToVideoJobStatus,
    before: TextToVideoJobStatus | None,
    times: Times | None,
    now: datetime,
) -> TextToVideoJobStatus:
    """`status`, with the expected times, or with those that `before` told if they do as well."""
    if status.phase not in UNDER_WAY:
        return _with(status, None)
    told = before.estimate if before and before.phase in UNDER_WAY else None
    as_told = _with(status, told)
    if times is None or times.completion > LATEST:
        return as_told
    if as_told == before and not is_news(before, times, now):
        return as_told
    return _with(status, _estimate(times))


def is_news(status: TextToVideoJobStatus | None, times: Times, now: datetime) -> bool:
    """Whether the times alone are worth a write."""
    if status is None or status.phase not in UNDER_WAY or not times.is_near:
        return False
    told = status.estimate.completion_time if status.estimate else None
    if told is None:
        return True
    left = max(told.timestamp(), times.completion) - now.timestamp()
    moved = abs(told.timestamp() - times.completion)
    return moved > max(MOVED_SECONDS, MOVED_SHARE * left)


def _with(status: TextToVideoJobStatus, times: Estimate | None) -> TextToVideoJobStatus:
    """With the times of an estimate, and all else that the status says of it."""
    base = status.estimate
    start = times.start_time if times else None
    completion = times.completion_time if times else None
    if base is None and completion is None:
        return status
    new = (base or Estimate()).model_copy(
        update={"start_time": start, "completion_time": completion}
    )
    return status if new == base else status.model_copy(update={"estimate": new})


def _estimate(times: Times) -> Estimate:
    return Estimate(start_time=_time(times.start), completion_time=_time(times.completion))


def _time(seconds: float) -> datetime:
    """In whole seconds, as Kubernetes writes it."""
    return datetime.fromtimestamp(round(seconds), UTC)

"""Whether the model cache has lost what a VideoModel promises. Pure.

Whoever empties a cache by hand tells nobody. The pod of a video finds out, and its attempt on the
video's status is what everybody goes by: the model, which is fetched again, and the video, which
waits for that. Both ask `is_missed`, so neither begins without the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from t2v_api.reasons import Reason
from t2v_api.resource import Attempt, TextToVideoJobStatus

from t2v_operator.core.models.observed import ObservedModel

BELIEVED = timedelta(hours=1)
"""So long a fetch is believed that was to bring the model again and found all of it there: who
misses it then sees another cache, and fetching it once more would not help."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A model that the pod of a video did not find."""

    revision: str
    """Names the weights that it looked for."""
    time: datetime
    """When that pod's runner began."""
    node: str | None = None
    """Where it looked, which matters where each node has a cache of its own."""


def missed_by(status: TextToVideoJobStatus | None) -> Missed | None:
    """What the latest attempt of a video that missed its model tells; None where none did."""
    if status is None or status.resolved is None:
        return None
    runs = [(each.start_time, each.node_name) for each in vain(status.attempts) if each.start_time]
    if not runs:
        return None
    time, node = max(runs, key=lambda run: run[0])
    return Missed(status.resolved.model_revision, time, node)


def vain(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that did not find their model."""
    return [each for each in attempts if each.reason is Reason.MODEL_NOT_IN_CACHE]


def is_missed(model: ObservedModel, missed: Missed | None) -> bool:
    """Whether a model that is said to be in the cache is not.

    What began before the model was last fetched says nothing: it may have come since. Where each
    node has a cache of its own, `model` is as it is said to be on the node of who missed it.
    """
    status = model.status
    if missed is None or status is None or missed.revision != model.promised_revision:
        return False
    if model.is_fetched_again:
        return False  # nobody says so any more
    if status.fetched_time is None:
        return True
    since = status.fetched_time
    if status.missing_time is not None and status.fetched_bytes == 0:
        since += BELIEVED
    return missed.time > since


def latest_missed(model: ObservedModel, all_missed: Iterable[Missed]) -> datetime | None:
    """When a pod last looked for it in vain, where the model is to be fetched again for that."""
    return max((each.time for each in all_missed if is_missed(model, each)), default=None)

"""The Kubernetes Events that tell a person what happened to a VideoModel. Pure.

`kubectl describe vmodel` shows them. The neighbour that tells of videos is `core.events`.
"""

from collections.abc import Sequence

from t2v_api.reasons import ModelReason
from t2v_api.video_model import VideoModelStatus

from t2v_operator.core.decision import Action, CreateJob
from t2v_operator.core.events import MESSAGE_CHARACTERS, Notice
from t2v_operator.core.models.situation import READY

STARTED = "PrefetchStarted"
FETCHED = "Fetched"


def model_notices(
    before: VideoModelStatus | None,
    after: VideoModelStatus | None,
    actions: Sequence[Action] = (),
) -> list[Notice]:
    """What was begun, then what became of the model, if that is news."""
    told = [_begun(action) for action in actions if isinstance(action, CreateJob)]
    if after is None or not after.conditions:
        return told
    if was_fetched(before, after):
        return [*told, Notice("Normal", FETCHED, _fetched(after))]
    if _was_missed(before, after):
        words = after.message[:MESSAGE_CHARACTERS]
        return [*told, Notice("Warning", ModelReason.MISSING_IN_CACHE, words)]
    reason = after.conditions[0].reason
    # That it is on its way, the Event of its Job says.
    if reason == ModelReason.PREFETCHING or _same(before, after):
        return told
    message = after.message[:MESSAGE_CHARACTERS]
    return [*told, Notice("Normal" if reason in READY else "Warning", reason, message)]


def was_fetched(before: VideoModelStatus | None, after: VideoModelStatus) -> bool:
    """Whether this status is the first to tell of a fetch that came to its end."""
    known = before.fetched_time if before else None
    return after.fetched_time is not None and after.fetched_time != known


def _was_missed(before: VideoModelStatus | None, after: VideoModelStatus) -> bool:
    """Whether this status is the first to tell so; it stays ready where other nodes have it."""
    known = before.missing_time if before else None
    return after.missing_time is not None and after.missing_time != known


def _same(before: VideoModelStatus | None, after: VideoModelStatus) -> bool:
    if before is None or not before.conditions:
        return False
    return before.conditions[0].reason == after.conditions[0].reason and (
        before.observed_generation == after.observed_generation
    )


def _begun(action: CreateJob) -> Notice:
    name = action.manifest["metadata"]["name"]
    return Notice("Normal", STARTED, f"made the Job {name}, which fetches it")


def _fetched(status: VideoModelStatus) -> str:
    parts = [f"{(status.bytes or 0) / 1e9:.2f} GB are in the model cache"]
    if status.fetched_bytes is not None:
        parts.append(f"{status.fetched_bytes / 1e9:.2f} GB came now")
    if status.fetch_seconds is not None:
        parts.append(f"in {status.fetch_seconds:.0f} s")
    return f"{', '.join(parts)}; {status.message}"

"""A video as the gallery shows it."""

from typing import Any

from t2v_api.progress import Stage
from t2v_api.resource import Estimate, Phase, TextToVideoJobStatus
from t2v_api.result import POSTER_FILE, PREVIEW_FILE, VIDEO_FILE

from t2v_gateway.page.hints import HINTS, UNKNOWN, WAITING
from t2v_gateway.videos import Video

Card = dict[str, Any]

PROMPT_CHARACTERS = 300
MESSAGE_CHARACTERS = 600
STAGES = {
    Stage.START: "Starting",
    Stage.DOWNLOAD: "Downloading the model",
    Stage.LOAD: "Loading the model",
    Stage.ENCODE_PROMPT: "Reading the prompt",
    Stage.DENOISE: "Drawing",
    Stage.DECODE: "Decoding",
    Stage.ENCODE: "Encoding",
    Stage.UPLOAD: "Storing",
}


def state_of(video: Video) -> str:
    """What the gallery sorts by: working, ready or failed."""
    if not video.is_finished:
        return "working"
    return "ready" if video.phase is Phase.SUCCEEDED else "failed"


def card_of(video: Video) -> Card:
    """All that is shown without opening it."""
    resource, state = video.resource, state_of(video)
    spec, status = resource.spec, resource.status if resource.is_observed else None
    resolved, drawn = (status.resolved, status.video) if status else (None, None)
    card: Card = {
        "id": str(video.id),
        "version": int(resource.metadata.resource_version or 0),
        "state": state,
        "created": video.created,
        "prompt": (spec.prompt if spec else "")[:PROMPT_CHARACTERS],
        "model": spec.model_id if spec else "",
        "width": drawn.width if drawn else resolved.width if resolved else spec and spec.width,
        "height": drawn.height if drawn else resolved.height if resolved else spec and spec.height,
        "seconds": drawn.duration if drawn else None,
    }
    if state == "ready" and status:
        return card | _ready(status)
    if state == "failed":
        return card | _failed(status, resource.complaint)
    return card | _working(status)


def reason_of(status: TextToVideoJobStatus | None) -> str:
    """Why it waits or failed, in one word; empty where nobody has said."""
    ready = [each.reason for each in (status.conditions if status else ()) if each.type == "Ready"]
    return ready[0] if ready else ""


def file_of(status: TextToVideoJobStatus, name: str) -> str | None:
    """What opens the file of this name; links may be signed."""
    urls = [url for url in status.output if url.partition("?")[0].endswith(f"/{name}")]
    is_web = bool(urls) and urls[0].startswith(("https://", "http://"))
    return urls[0] if is_web else None


def _ready(status: TextToVideoJobStatus) -> Card:
    is_removed = status.output_removed_time is not None
    url = status.output_url if (status.output_url or "").startswith(("http://", "https://")) else ""
    return {
        "url": None if is_removed else file_of(status, VIDEO_FILE) or url,
        "poster": None if is_removed else file_of(status, POSTER_FILE),
        "preview": None if is_removed else file_of(status, PREVIEW_FILE),
        "isRemoved": is_removed,
        "isReused": bool(status.reused),
        "tookSeconds": status.generation_time,
    }


def _failed(status: TextToVideoJobStatus | None, complaint: str) -> Card:
    reason = reason_of(status)
    hint = HINTS.get(reason, UNKNOWN)
    message = (status.message if status else "") or complaint
    return {
        "reason": reason,
        "title": hint.title,
        "advice": hint.advice,
        "message": message[:MESSAGE_CHARACTERS],
    }


def _working(status: TextToVideoJobStatus | None) -> Card:
    """`percent` is None as long as nothing runs."""
    if status is None:
        return _waiting("Waits for its turn")
    progress = status.progress if status.phase is Phase.RUNNING else None
    if progress is None:
        stage = WAITING.get(reason_of(status), status.phase.value)
        return _waiting(stage, status.estimate, status.message[:MESSAGE_CHARACTERS])
    steps = f", step {progress.step} of {progress.steps}" if progress.step else ""
    return {
        "stage": STAGES[progress.stage] + steps,
        "percent": progress.percent,
        "eta": progress.eta_seconds,
        "due": None,
        "expected": None,
        "note": "",
    }


def _waiting(stage: str, estimate: Estimate | None = None, note: str = "") -> Card:
    """`due`: when it is there, by all that is before it; `expected`: the seconds of it alone."""
    due = estimate.completion_time if estimate else None
    return {
        "stage": stage,
        "percent": None,
        "eta": None,
        "due": due.isoformat() if due else None,
        "expected": estimate.seconds if estimate else None,
        "note": note,
    }

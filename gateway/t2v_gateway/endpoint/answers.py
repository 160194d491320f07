"""What the endpoint answers, made of a video's saved status."""

from typing import Any

from t2v_api.resource import Phase, TextToVideoJobStatus

from t2v_gateway.errors import Refused
from t2v_gateway.videos import Video

Answer = dict[str, Any]


def about(video: Video, fetch_url: str) -> Answer:
    """How far the video is, or what came of it."""
    resource = video.resource
    status = resource.status if resource.is_observed else None
    if status is None or not video.is_finished:
        return {
            "status": "processing",
            "id": video.id,
            "eta": _eta(status),
            "fetch_result": fetch_url,
            "output": [],
            "message": status.message if status else "waits for its turn",
            "meta": _meta(video, status),
        }
    if status.phase is Phase.FAILED:
        return failure(status.message) | {"id": video.id, "meta": _meta(video, status)}
    return {
        "status": "success",
        "generationTime": status.generation_time,
        "id": video.id,
        "output": list(status.output[:1]),
        "meta": _meta(video, status),
    }


def failure(message: str) -> Answer:
    return {"status": "error", "message": message}


def refusal(error: Refused) -> Answer:
    return failure(error.message)


def _eta(status: TextToVideoJobStatus | None) -> float | None:
    """Seconds, where they are known."""
    if status and status.progress and status.progress.eta_seconds is not None:
        return status.progress.eta_seconds
    return status.estimate.seconds if status and status.estimate else None


def _meta(video: Video, status: TextToVideoJobStatus | None) -> Answer:
    """The request as it was understood, in the endpoint's words."""
    spec = video.spec
    resolved = status.resolved if status else None
    if spec is None:
        return {}
    return {
        "model_id": spec.model_id,
        "prompt": resolved.prompt if resolved else spec.prompt,
        "negative_prompt": spec.negative_prompt,
        "seed": resolved.seed if resolved else spec.seed,
        "track_id": spec.track_id,
    }

"""What the endpoint answers, made of a video's saved status."""

import math
from collections.abc import Iterable
from typing import Any

from starlette.responses import JSONResponse, Response
from t2v_api.resource import Phase, TextToVideoJobSpec, TextToVideoJobStatus

from t2v_gateway.endpoint.text2video import in_words
from t2v_gateway.errors import Refused
from t2v_gateway.settings import ErrorForm
from t2v_gateway.videos import Video

Answer = dict[str, Any]

UNKNOWN_ETA_SECONDS = 10
"""Clients sleep for as long as `eta` says, and cannot sleep for null."""
ON_ITS_WAY = "the video is on its way; ask fetch_result after eta seconds"
OVER = (408, 413)
"""The rest of the body is not read: the connection ends with the answer."""


def about(video: Video, fetch_url: str, tips: Iterable[str] = ()) -> Answer:
    """How far the video is, or what came of it. `tips`: what its sender should know."""
    resource = video.resource
    status = resource.status if resource.is_observed else None
    meta = _meta(video.spec, status) if video.spec else {}
    tip = "; ".join(tips)
    if status is None or not video.is_finished:
        return {
            "status": "processing",
            "tip": f"{ON_ITS_WAY}; {tip}" if tip else ON_ITS_WAY,
            "eta": _eta(status),
            "fetch_result": fetch_url,
            "message": in_words(status.message if status else "") or "waits for its turn",
            "id": video.id,
            "output": [],
            "meta": meta,
        }
    if status.phase is Phase.FAILED:
        return {
            "status": "failed",
            "message": in_words(status.message),
            "id": video.id,
            "output": [],
            "meta": meta,
        }
    return {
        "status": "success",
        "generationTime": status.generation_time,
        "id": video.id,
        "output": list(status.output[:1]),
        "meta": meta,
        **({"tip": tip} if tip else {}),
    }


def done(message: str, **more: Any) -> Answer:
    """What was asked is so."""
    return {"status": "success", "message": message, **more}


def failure(message: str) -> Answer:
    return {"status": "error", "message": message}


def refusal(error: Refused, form: ErrorForm) -> Response:
    """The answer to a request that gets nothing else."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    if error.status in OVER:
        headers["Connection"] = "close"
    status = 200 if form is ErrorForm.AS_DOCUMENTED else error.status
    return JSONResponse(failure(error.message), status, headers)


def _eta(status: TextToVideoJobStatus | None) -> int:
    """Seconds after which it is worth asking again."""
    known = None
    if status and status.progress and status.progress.eta_seconds is not None:
        known = status.progress.eta_seconds
    elif status and status.estimate:
        known = status.estimate.seconds
    return UNKNOWN_ETA_SECONDS if known is None else max(1, math.ceil(known))


def _meta(spec: TextToVideoJobSpec, status: TextToVideoJobStatus | None) -> Answer:
    """The request as it was understood, in the endpoint's words; null is not decided yet."""
    used: Any = (status.resolved if status else None) or spec
    return {
        "model_id": spec.model_id,
        "prompt": used.prompt,
        "negative_prompt": used.negative_prompt,
        "width": used.width,
        "height": used.height,
        "num_frames": used.num_frames,
        "fps": used.fps,
        "scheduler": used.scheduler,
        "num_inference_steps": used.num_inference_steps,
        "guidance_scale": used.guidance_scale,
        "strength": used.strength,
        "seed": used.seed,
        "enhance_prompt": "yes" if spec.enhance_prompt else "no",
        "loadbalancer": "yes" if spec.load_balancer else "no",
        "track_id": spec.track_id,
    }

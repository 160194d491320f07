"""What a video is in OpenAI's words, made of its saved status. No I/O."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from t2v_api.profile import ModelDescription
from t2v_api.reasons import SUCCEEDED
from t2v_api.resource import GROUP, Phase, TextToVideoJobSpec, TextToVideoJobStatus
from t2v_api.schedulers import Scheduler

from t2v_gateway.videos import Video

REMIXED_FROM_LABEL = f"{GROUP}/remixed-from"
"""On a resource: the video that it is a remix of."""

Status = Literal["queued", "in_progress", "completed", "failed"]
STATUSES: dict[Phase, Status] = {
    Phase.PENDING: "queued",
    Phase.SUSPENDED: "queued",
    Phase.QUEUED: "queued",
    Phase.RUNNING: "in_progress",
    Phase.SUCCEEDED: "completed",
    Phase.FAILED: "failed",
}
VIDEO_ID = re.compile(r"video_(0|[1-9][0-9]{0,15})")


class VideoError(BaseModel):
    """Why there is no video."""

    code: str
    """For programs: the reason on the resource, such as out_of_memory."""
    message: str
    """For people."""


class VideoAnswer(BaseModel):
    """One video: OpenAI's fields first, then this system's own."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    object: Literal["video"] = "video"
    status: Status
    progress: int
    """Percent."""
    created_at: int
    """Seconds since 1970."""
    completed_at: int | None
    expires_at: int | None
    """When its files are removed. Null: never."""
    model: str
    prompt: str
    seconds: str
    """How long it really is: its number of frames divided by its rate."""
    size: str
    """WIDTHxHEIGHT in pixels."""
    error: VideoError | None
    remixed_from_video_id: str | None
    num_frames: int | None
    fps: int | None
    seed: int | None
    """Null until it is drawn."""
    scheduler: Scheduler | None
    num_inference_steps: int | None
    guidance_scale: float | None
    revised_prompt: str | None
    """What the model was asked, once that is known."""
    message: str
    """What happens or happened, for people: also what was done otherwise than asked for."""


class VideoList(BaseModel):
    """A page of videos."""

    object: Literal["list"] = "list"
    data: list[VideoAnswer]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(BaseModel):
    """A video that was deleted."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool = True


def id_of(video: Video) -> str:
    """The video's id here."""
    return f"video_{video.id}"


def number_in(video_id: str) -> int | None:
    """The `status.id` in an id; None where it is none."""
    found = VIDEO_ID.fullmatch(video_id)
    return int(found[1]) if found else None


def about(video: Video, model: ModelDescription | None) -> VideoAnswer:
    """How far it is, or what came of it. `model`: its profile, where it is still there."""
    resource, phase = video.resource, video.phase
    status = resource.status if resource.is_observed else None
    spec, resolved = resource.spec, status.resolved if status else None
    made = status.video if status else None
    defaults = model.defaults if model else None
    sources = (made, resolved, spec, defaults)
    width, height = _first("width", *sources), _first("height", *sources)
    fps = _first("fps", *sources)
    frames = made.frames if made else _first("num_frames", *sources[1:])
    created = resource.metadata.creation_timestamp
    return VideoAnswer(
        id=id_of(video),
        status=STATUSES[phase],
        progress=_percent(phase, status),
        created_at=int(created.timestamp()) if created else 0,
        completed_at=_completed(status),
        expires_at=_expires(spec, status),
        model=spec.model_id if spec else "",
        prompt=spec.prompt if spec else "",
        seconds=f"{frames / fps:.5g}" if frames and fps else "0",
        size=f"{width}x{height}" if width and height else "",
        error=_error(status) if status and phase is Phase.FAILED else None,
        remixed_from_video_id=video.labels.get(REMIXED_FROM_LABEL),
        num_frames=frames,
        fps=fps,
        seed=_first("seed", resolved, spec),
        scheduler=_first("scheduler", resolved, spec, defaults),
        num_inference_steps=_first("num_inference_steps", resolved, spec, defaults),
        guidance_scale=_first("guidance_scale", resolved, spec, defaults),
        revised_prompt=resolved.prompt if resolved else None,
        message=status.message if status else "",
    )


def _first(name: str, *sources: object) -> Any:
    """The value in the first record that has one."""
    found = (getattr(source, name, None) for source in sources)
    return next((value for value in found if value is not None), None)


def _percent(phase: Phase, status: TextToVideoJobStatus | None) -> int:
    if phase is Phase.SUCCEEDED:
        return 100
    return status.progress.percent if status and status.progress else 0


def _completed(status: TextToVideoJobStatus | None) -> int | None:
    if status is None or status.phase is not Phase.SUCCEEDED or status.completion_time is None:
        return None
    return int(status.completion_time.timestamp())


def _expires(
    spec: TextToVideoJobSpec | None, status: TextToVideoJobStatus | None
) -> int | None:  # fmt: skip
    completed = _completed(status)
    if completed is None or spec is None or spec.output_ttl_seconds is None:
        return None
    return completed + spec.output_ttl_seconds


def _error(status: TextToVideoJobStatus) -> VideoError:
    reasons = [each.reason for each in status.conditions if each.type == "Ready"]
    reason = next((each for each in reasons if each != SUCCEEDED), "GenerationFailed")
    code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", reason).lower()
    return VideoError(code=code, message=status.message)

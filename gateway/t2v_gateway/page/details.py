"""Everything about one video: the exact inputs, what came of them, and how to ask for it again."""

from collections.abc import Iterator
from typing import Any

import yaml
from t2v_api.request import GenerationRequest
from t2v_api.resource import (
    API_VERSION,
    KIND,
    OutputPolicy,
    TextToVideoJobSpec,
    TextToVideoJobStatus,
)

from t2v_gateway.page.cards import card_of
from t2v_gateway.videos import Video

Rows = list[tuple[str, str]]

OF_THE_RESOLVED = (
    "width",
    "height",
    "num_frames",
    "fps",
    "scheduler",
    "num_inference_steps",
    "seed",
)
"""What a manifest takes from what was really used; the rest is as it was asked for."""


def details_of(video: Video) -> dict[str, Any]:
    """What is shown when a video is opened."""
    resource = video.resource
    spec, status = resource.spec, resource.status if resource.is_observed else None
    resolved = status.resolved if status else None
    link_ends = status.link_expiry_time if status else None
    keeps_files = spec is None or spec.output_policy is OutputPolicy.RETAIN
    return card_of(video) | {
        "name": video.name,
        "namespace": video.namespace,
        "prompt": spec.prompt if spec else "",
        "isResolved": resolved is not None,
        "inputs": list(_inputs(resolved, spec)) if spec else [],
        "outcome": list(_outcome(status)) if status else [],
        "message": status.message if status else resource.complaint,
        "linkEnds": link_ends.isoformat() if link_ends else None,
        "keepsFiles": keeps_files,
        "request": _as_text(spec.document()) if spec else {},
        "manifest": manifest_of(video.name, spec, resolved) if spec else "",
    }


def manifest_of(
    name: str, spec: TextToVideoJobSpec, resolved: GenerationRequest | None = None
) -> str:
    """A resource that makes the same video again, as YAML; `resolved`: with what was used."""
    wanted = spec.document() | {"webhook": None, "trackId": None}
    if resolved:
        used = resolved.document()
        aliases = [str(TextToVideoJobSpec.model_fields[each].alias) for each in OF_THE_RESOLVED]
        wanted |= {alias: used[alias] for alias in aliases}
        wanted |= {"prompt": resolved.prompt, "enhancePrompt": False}
        if resolved.guidance_scale_2 is None:
            wanted["guidanceScale"] = resolved.guidance_scale
        if resolved.strength is not None:
            wanted["strength"] = resolved.strength
    fields = TextToVideoJobSpec.model_fields.values()
    plain = {str(field.alias): field.default for field in fields}
    said = {
        field: value
        for field, value in wanted.items()
        if value not in (None, []) and value != plain.get(field)
    }
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": f"{name}-again"},
        "spec": said,
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _inputs(used: GenerationRequest | None, spec: TextToVideoJobSpec) -> Iterator[tuple[str, str]]:
    """Those that were used, or as far as nothing is decided yet, those that were asked for."""
    document = used.document() if used else spec.document()
    labels = {
        "prompt": "Prompt as drawn" if used else "Prompt",
        "negativePrompt": "Not to be seen",
        "modelId": "Model",
        "modelRevision": "Model revision",
        "width": "Width",
        "height": "Height",
        "numFrames": "Frames",
        "fps": "Frames per second",
        "scheduler": "Scheduler",
        "numInferenceSteps": "Steps",
        "guidanceScale": "Guidance",
        "guidanceScale2": "Guidance for little noise",
        "seed": "Seed",
        "initImage": "First image",
        "endImage": "Last image",
        "initVideo": "Video to start from",
        "strength": "Strength",
        "speed": "Speed",
        "runnerImage": "Runner image",
    }
    for field, label in labels.items():
        if document.get(field) not in (None, ""):
            yield label, str(document[field])
    for lora in document.get("loras") or ():
        yield "LoRA", f"{lora.get('name') or lora['source']} × {lora.get('weight', 1)}"


def _outcome(status: TextToVideoJobStatus) -> Iterator[tuple[str, str]]:
    """What came of it, as far as that is known."""
    if status.pool:
        yield "Pool", status.pool
    if status.job_name:
        yield "Job", status.job_name
    if status.video:
        video = status.video
        yield "Length", f"{video.duration:.3g} s, {video.frames} frames"
        yield "File", f"{_bytes(video.bytes)}, SHA-256 {video.sha256}"
    if status.reused:
        yield "Made", "before, for an equal request; it was taken from the store"
    elif status.generation_time is not None:
        yield "Made in", f"{status.generation_time:.1f} s"
    for stage, seconds in (status.timings or {}).items():
        yield f"Time to {stage}", f"{seconds:.1f} s"
    execution = status.resolved.execution if status.resolved else None
    if execution:
        yield "Drawn on", f"{execution.device}, {execution.dtype}, {execution.plan or 'one plan'}"
    for number, attempt in enumerate(status.attempts, status.attempt_count or 1):
        if attempt.reason:
            yield f"Attempt {number}", f"{attempt.reason}: {attempt.message}"


def _as_text(document: dict[str, Any]) -> dict[str, Any]:
    """JavaScript's numbers are not exact enough for seeds: all are written out."""
    return {
        name: str(value) if type(value) in (int, float) else value
        for name, value in document.items()
    }


def _bytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"

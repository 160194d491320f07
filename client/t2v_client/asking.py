"""What is asked for: the document of a TextToVideoJob, from a prompt and the fields of its spec."""

import re
import secrets
from typing import Any, TypedDict, Unpack

from t2v_api.resource import API_VERSION, KIND, TextToVideoJobSpec

LONGEST_SLUG = 40
"""Characters of the prompt in a name; names of videos may have 253."""
SUFFIX = "abcdefghijkmnpqrstuvwxyz23456789"
"""No letter that may be taken for another one."""


class Fields(TypedDict, total=False):
    """The most used fields of a spec; `kubectl explain t2v.spec` tells what each does."""

    negative_prompt: str
    width: int
    """Pixels, a multiple of 8."""
    height: int
    """Pixels, a multiple of 8."""
    num_frames: int
    fps: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    """The name of one of the 18 classes."""
    seed: int | None
    """None: drawn once and recorded."""
    enhance_prompt: bool
    init_image: str
    end_image: str
    init_video: str
    strength: float
    mode: str
    speed: str
    loras: list[dict[str, Any]]
    """Each `{"source": name, "weight": 1.0}`."""
    pool: str
    queue_name: str
    priority_class_name: str
    load_balancer: bool
    webhook: str
    track_id: str
    active_deadline_seconds: int
    queue_deadline_seconds: int
    backoff_limit: int
    output_ttl_seconds: int


def a_video(
    prompt: str,
    *,
    model: str,
    name: str | None = None,
    labels: dict[str, str] | None = None,
    **fields: Unpack[Fields],
) -> dict[str, Any]:
    """The document of one video, for `submit`. Without a `name` it gets one after its prompt.

    Raises ContractError with one line for each field that is wrong.
    """
    names = {field: info.alias for field, info in TextToVideoJobSpec.model_fields.items()}
    spec = {names.get(field, field): value for field, value in fields.items() if value is not None}
    spec = {"modelId": model, "prompt": prompt, **spec}
    TextToVideoJobSpec.parse(spec, at="spec")
    metadata: dict[str, Any] = {"name": name or name_after(prompt)}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def name_after(prompt: str) -> str:
    """A name that nothing else has: words of the prompt, then five characters by chance."""
    return f"{words_of(prompt)}-{''.join(secrets.choice(SUFFIX) for _ in range(5))}"


def words_of(prompt: str) -> str:
    """The prompt's first words as a name."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:LONGEST_SLUG].strip("-")
    return words or "video"

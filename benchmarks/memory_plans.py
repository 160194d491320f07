"""Write docs/memory.md: what official models need, from their configurations on the meta device.

python -m benchmarks.memory_plans    # a test fails when the file differs from what this writes
"""

from pathlib import Path
from typing import Any

import yaml
from t2v_api.activations import DECODERS
from t2v_api.execution import ladder
from t2v_api.grid import Grid
from t2v_api.memory import CUDA_CONTEXT, GIB, NoPlanFits, choose, init_media_bytes
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.sizes import ModelSizes
from t2v_api.start import Start
from t2v_runner.weights import family_of

from tests.runner.real_models import COMPUTED, LISTED, REAL_MODELS, RealModel

FILE = Path(__file__).parents[1] / "docs" / "memory.md"
GPUS_GIB = (16, 24, 48, 80)
HOST_GIB = 128

HEAD = f"""# What models need of a GPU

Written by `python -m benchmarks.memory_plans`; a test fails when it is not current. The sizes are
those of the official configurations, built on torch's meta device. Peaks are formulas that were
compared with the very classes (docs/performance.md), **not measured on a GPU**. Left free are
{CUDA_CONTEXT / GIB:g} GiB for CUDA itself and 4 % for what the allocator loses; the host has
{HOST_GIB} GiB. docs/design/memory-plans.md says what each plan does;
`t2v plan -f manifest.yaml --gpu-memory 24Gi` tells the same of your models and requests, and
`status.estimate` of every video whose pool has `gpuMemory` and whose profile has `sizes`.

Weights are those on the GPU, in GiB: two bytes each, Wan 2.2's VAE four. Requests start from the
prompt alone; what init media need beside that stands below. Downloads are the weights in the number
formats of the official repository's files; tokenizers and settings are some MB more. Where it says
`{LISTED}`, a listing of the repository, or of a copy, that was found has the same sizes
(tests/runner/recorded/listings.yaml); `{COMPUTED}`: no listing with sizes is recorded there, and
the formats are those that sources tell. A cell has the plan and its peak in GiB. HunyuanVideo-1.5
is counted with torch's own attention, for which its class makes a mask of tokens by tokens: most of
its need.

"""

MEDIA = """
# Init media

What the VAE needs beside weights to encode a video of the request's size, or an image, in GiB; in
brackets with tiles. It is needed before the denoiser works: with EncoderFirst before that is there.

| model | request | a video | an image |
|---|---|---|---|
"""
PROFILES = """
# For a model's profile

`sizes` of a profile: the operator chooses a pool and tells an estimate by them, and `t2v plan` of a
hub model needs them. For other models: `python -m t2v_runner.weights FOLDER`.
"""


def document() -> str:
    """The file as it must be."""
    models = [(model, model.sizes()) for model in REAL_MODELS]
    lines = [
        "| model | request | download | weights | "
        + " | ".join(f"{n} GiB" for n in GPUS_GIB)
        + " |",
        "|---|---|---|---|" + "---|" * len(GPUS_GIB),
        *(_row(model, sizes) for model, sizes in models),
        "",
        "A dash says that no plan fits:",
        "",
        *(line for model, sizes in models for line in _misfits(model, sizes)),
    ]
    media = "".join(_media_row(*each) for each in models if _takes_media(*each))
    profiles = "".join(_profile(*each) for each in models)
    return HEAD + "\n".join(lines) + "\n" + MEDIA + media + PROFILES + profiles


def _row(model: RealModel, sizes: ModelSizes) -> str:
    weights = ", ".join(
        f"{name} {size.weights / GIB:.1f}" for name, size in sizes.components.items()
    )
    cells = (
        model.name,
        f"{model.width}x{model.height}, {model.num_frames} frames",
        f"{(sizes.download or 0) / 1e9:.1f} GB, {model.download_by}",
        weights,
        *(_cell(model, sizes, gib) for gib in GPUS_GIB),
    )
    return f"| {' | '.join(cells)} |"


def _cell(model: RealModel, sizes: ModelSizes, gib: int) -> str:
    try:
        choice = choose(sizes, a_request(model), *_memory(gib), ladder(), a_grid(sizes))
    except NoPlanFits:
        return "–"
    return f"{choice.plan}, {choice.peak.gpu / GIB:.1f}"


def _misfits(model: RealModel, sizes: ModelSizes) -> list[str]:
    for gib in reversed(GPUS_GIB):
        try:
            choose(sizes, a_request(model), *_memory(gib), ladder(), a_grid(sizes))
        except NoPlanFits as misfit:
            return [f"- {model.name} on {gib} GiB: {misfit}"]
    return []


def _takes_media(model: RealModel, sizes: ModelSizes) -> bool:
    return sizes.encoder is not None and family_of(model.pipeline).traits.starts != (Start.TEXT,)


def _media_row(model: RealModel, sizes: ModelSizes) -> str:
    frames = f"{model.width}x{model.height}, {model.num_frames} frames"
    video = _media_cell(model, sizes, {"init_video": "file:///a.mp4", "strength": 0.5})
    image = _media_cell(model, sizes, {"init_image": "file:///a.png"})
    return f"| {model.name} | {frames} | {video} | {image} |\n"


def _media_cell(model: RealModel, sizes: ModelSizes, media: dict[str, Any]) -> str:
    request = a_request(model).model_copy(update=media)
    if request.start not in family_of(model.pipeline).traits.starts:
        return "–"
    whole, tiled = (init_media_bytes(sizes, request, is_tiled) / GIB for is_tiled in (False, True))
    return f"{whole:.1f} ({tiled:.1f})"


def _memory(gib: int) -> tuple[int, int]:
    return gib * GIB - CUDA_CONTEXT, HOST_GIB * GIB


def _profile(model: RealModel, sizes: ModelSizes) -> str:
    text = yaml.safe_dump({"sizes": sizes.document()}, sort_keys=False, default_flow_style=None)
    return f"\n{model.name} ({model.repository}):\n\n```yaml\n{text}```\n"


def a_grid(sizes: ModelSizes) -> Grid:
    """What the model's classes can draw."""
    frames = DECODERS[sizes.decoder.kind].temporal
    return Grid(sizes.denoiser.pixels, frames, 1 if frames > 1 else 0)


def a_request(model: RealModel) -> GenerationRequest:
    """What the model is usually asked for."""
    return GenerationRequest(
        model_id="any",
        prompt="a red circle",
        width=model.width,
        height=model.height,
        num_frames=model.num_frames,
        fps=24,
        scheduler=Scheduler.EULER_DISCRETE,
        num_inference_steps=50,
        guidance_scale=model.guidance_scale,
        seed=1,
    )


if __name__ == "__main__":
    FILE.write_text(document())

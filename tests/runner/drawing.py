"""Draw with tiny models: requests for them, the runner's own way through them, what must hold."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from t2v_api.family import ModelFamily, Prediction
from t2v_api.progress import Progress, Stage
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.start import Start
from t2v_runner.denoise import Drawn, denoise, denoisers
from t2v_runner.device import Device
from t2v_runner.families import adapter_of
from t2v_runner.families.base import Adapter
from t2v_runner.families.reversible import wrapped
from t2v_runner.model import load_pipeline, locate_model
from t2v_runner.reporter import Reporter
from t2v_runner.starts import check_starts
from t2v_runner.stop import StopSignal

from tests.runner.tiny_models import FRAMES, a_profile
from tests.runner.tiny_variants import STARTS, TINY_MODELS

Frames = NDArray[np.uint8]
Loader = Callable[[str], "Tiny"]
"""The fixture `load`."""


@dataclass(frozen=True)
class Tiny:
    """A tiny model, loaded."""

    family: ModelFamily
    folder: Path
    pipeline: Any

    @property
    def adapter(self) -> Adapter:
        return adapter_of(self.family)


def a_tiny(name: str, folder: Path, dtype: torch.dtype = torch.float32) -> Tiny:
    """The model of that name, written to `folder` unless it is there, and loaded from it."""
    family, build = TINY_MODELS[name]
    if not folder.exists():
        torch.manual_seed(0)
        build().save_pretrained(str(folder))
    profile = a_profile(family, folder, STARTS[name])
    located = locate_model(profile, Path())
    check_starts(located, profile)
    return Tiny(family, folder, load_pipeline(located, profile, Device("cpu", dtype)))


def a_request(family: ModelFamily, **changes: Any) -> GenerationRequest:
    flow = family.traits.prediction is Prediction.FLOW
    values: dict[str, Any] = {
        "model_id": "tiny",
        "prompt": "a red circle moves right",
        "width": 64,
        "height": 64,
        "num_frames": FRAMES[family],
        "fps": 8,
        "scheduler": Scheduler.EULER_DISCRETE if flow else Scheduler.DDIM,
        "num_inference_steps": 2,
        "guidance_scale": 2.0,
        "seed": 7,
    }
    return GenerationRequest(**(values | changes))


def from_video(family: ModelFamily, **changes: Any) -> tuple[GenerationRequest, Frames]:
    request = a_request(family, **{"init_video": "file:///any.mp4", "strength": 0.5} | changes)
    shape = (request.num_frames, request.height, request.width, 3)
    return request, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


IMAGE, END_IMAGE = "file:///first.png", "file:///last.png"
FRAMES_GIVEN: dict[Start, dict[str, str]] = {
    Start.FIRST_FRAME: {"init_image": IMAGE},
    Start.LAST_FRAME: {"end_image": END_IMAGE},
    Start.BOTH_FRAMES: {"init_image": IMAGE, "end_image": END_IMAGE},
}


def asked(
    family: ModelFamily, start: Start, **changes: Any
) -> tuple[GenerationRequest, Frames | None]:
    """A request that starts so, and what it starts from."""
    if start is Start.TEXT:
        return a_request(family, **changes), None
    if start is Start.VIDEO:
        return from_video(family, **changes)
    request = a_request(family, **FRAMES_GIVEN[start] | changes)
    shape = (len(FRAMES_GIVEN[start]), request.height, request.width, 3)
    return request, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def drawn(
    tiny: Tiny,
    request: GenerationRequest,
    init_frames: Frames | None = None,
    told: list[Progress] | None = None,
) -> Drawn:
    tell = [] if told is None else told
    reporter = Reporter(tell.append, StopSignal())
    return denoise(tiny.pipeline, tiny.adapter, request, init_frames, reporter)


def draw(
    tiny: Tiny, request: GenerationRequest, init_frames: Frames | None = None
) -> tuple[Frames, list[Progress]]:
    told: list[Progress] = []
    return drawn(tiny, request, init_frames, told).frames, told


def calls_of_experts(tiny: Tiny, *asked: Any) -> list[int]:
    """How often each of a model's denoisers was asked for one request."""
    counts = [0 for _ in denoisers(tiny.pipeline)]

    def counter(number: int) -> Callable[..., Any]:
        def count(real: Any, *arguments: Any, **named: Any) -> Any:
            counts[number] += 1
            return real(*arguments, **named)

        return count

    with ExitStack() as changes:
        for number, expert in enumerate(denoisers(tiny.pipeline)):
            changes.enter_context(wrapped(expert, "forward", counter(number)))
        drawn(tiny, *asked)
    return counts


def check_frames(frames: Frames, request: GenerationRequest) -> None:
    assert frames.dtype == np.uint8
    assert frames.shape == (request.num_frames, request.height, request.width, 3)
    assert frames.std() > 0


def check_progress(told: list[Progress], steps: int) -> None:
    denoising = [each for each in told if each.step]
    assert [each.step for each in denoising] == list(range(1, steps + 1))
    assert {each.steps for each in denoising} == {steps}
    stages = list(dict.fromkeys(each.stage for each in told))
    assert stages == [Stage.START, Stage.ENCODE_PROMPT, Stage.DENOISE, Stage.DECODE]

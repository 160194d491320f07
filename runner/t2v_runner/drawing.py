"""Draw one video with one process: load its pipeline, run it, and say how."""

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from t2v_api.profile import ModelProfile
from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest

from t2v_runner.denoise import Drawn, denoise
from t2v_runner.device import Device
from t2v_runner.families import adapter_of
from t2v_runner.model import load_pipeline
from t2v_runner.reporter import Reporter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Drawing:
    """One video to draw, and what is drawn with."""

    profile: ModelProfile
    request: GenerationRequest
    folder: Path
    """Of the model."""
    init_frames: "Frames | None" = None
    """What it starts from, as `read_init_frames` gives them; None: from noise."""
    motion_adapter: Path | None = None
    """Its folder, where the model has one."""


def draw(drawing: Drawing, device: Device, reporter: Reporter) -> Drawn:
    """The frames. Raises RunnerError, and torch.OutOfMemoryError."""
    profile = drawing.profile
    reporter.enter(Stage.LOAD)
    with _nothing_is_garbage():
        pipeline = load_pipeline(drawing.folder, profile, device, drawing.motion_adapter)
    adapter = adapter_of(profile.family)
    return denoise(pipeline, adapter, drawing.request, drawing.init_frames, reporter)


@contextlib.contextmanager
def _nothing_is_garbage() -> Iterator[None]:
    """What is imported and loaded here lives as long as the process.

    Python looks for garbage in it again and again, for a fifth of the time that importing takes.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()

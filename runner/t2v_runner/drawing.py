"""Draw one video with one process: by the best memory plan, and by leaner ones where it fails."""

import gc
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from t2v_api.execution import MOST_FALLS, Execution, Plan
from t2v_api.profile import ModelProfile
from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest

from t2v_runner.checkpoints.circumstances import circumstances_of
from t2v_runner.checkpoints.file import Circumstances
from t2v_runner.checkpoints.keeper import Keeper
from t2v_runner.decoding import decoding_again
from t2v_runner.denoise import Drawn, denoise
from t2v_runner.device import CPU, Device
from t2v_runner.errors import ModelNotLoadable, OutOfMemory
from t2v_runner.families import adapter_of
from t2v_runner.loras import LocatedLora
from t2v_runner.out_of_memory import give_back, is_out_of_memory
from t2v_runner.placing import Weights, placed
from t2v_runner.planning import Ways, free_memory, ways_on_cpu, ways_on_gpu
from t2v_runner.reporter import Reporter
from t2v_runner.weights import measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]

logger = logging.getLogger(__name__)


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
    loras: tuple[LocatedLora, ...] = ()
    """What is added to the model's weights."""

    def circumstances(self, device: Device, fp8: bool = False) -> Circumstances:
        """What a checkpoint of it hangs on."""
        return circumstances_of(self.profile, self.request, self.init_frames, device, fp8)

    @property
    def weights(self) -> Weights:
        """What the pipeline is loaded from."""
        return Weights(self.profile, self.folder, self.motion_adapter, self.loras)


def draw(
    drawing: Drawing, device: Device, reporter: Reporter, keeper: Keeper | None = None
) -> tuple[Drawn, Execution]:
    """What was drawn, and how. Raises RunnerError."""
    ways, fell_back = ways_for(drawing, device), list[str]()
    for plan in ways.plans:
        try:
            drawn = _drawn(drawing, plan, device, reporter, fell_back, keeper)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            fell_back.append(f"{plan}: {reporter.stage}")
        else:
            return drawn, _execution(drawing, ways, plan, device, drawn, fell_back)
        give_back()
        if reporter.stage is Stage.DECODE:
            break  # Denoising again would lead here again: decoding has its own ways.
    raise OutOfMemory(_what_ran_out(ways, fell_back))


def ways_for(drawing: Drawing, device: Device) -> Ways:
    """The memory plans to try on this device."""
    if device.name == CPU:
        return ways_on_cpu(drawing.profile)
    try:
        sizes = measure(drawing.folder, device.dtype, drawing.motion_adapter)
    except ModelNotLoadable as unknown:
        logger.warning("no memory plan is chosen: %s", unknown)
        sizes = None
    return ways_on_gpu(drawing.profile, drawing.request, sizes, free_memory(device))


def _drawn(
    drawing: Drawing,
    plan: Plan,
    device: Device,
    reporter: Reporter,
    fell_back: list[str],
    keeper: Keeper | None,
) -> Drawn:
    import torch

    reporter.enter(Stage.LOAD)
    if device.name != CPU:
        torch.cuda.reset_peak_memory_stats(device.name)
    with ExitStack() as changes:
        with _nothing_is_garbage():
            pipeline = changes.enter_context(placed(drawing.weights, plan, device, reporter))
        changes.enter_context(decoding_again(pipeline, fell_back))
        adapter = adapter_of(drawing.profile.family)
        if keeper:
            keeper.under(drawing.circumstances(device, plan.fp8))
        return denoise(pipeline, adapter, drawing.request, drawing.init_frames, reporter, keeper)


def _execution(
    drawing: Drawing, ways: Ways, plan: Plan, device: Device, drawn: Drawn, fell_back: list[str]
) -> Execution:
    import torch

    is_on_gpu = device.name != CPU
    return Execution(
        device=device.name,
        dtype=drawn.dtype,
        plan=str(plan) if is_on_gpu else None,
        expected_bytes=ways.expected_bytes(plan, drawing.request),
        peak_bytes=torch.cuda.max_memory_allocated(device.name) if is_on_gpu else None,
        fell_back=tuple(fell_back[:MOST_FALLS]),
        attention=drawing.profile.execution.attention,
        compiled=drawing.profile.execution.compile,
        cache=drawn.cache,
    )


def _what_ran_out(ways: Ways, fell_back: list[str]) -> str:
    advice = ways.problem or "fewer frames or a smaller size need less"
    return (
        f"the device's memory does not hold this request: {advice} (tried: {', '.join(fell_back)})"
    )


@contextmanager
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

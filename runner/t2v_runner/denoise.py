"""Run the pipeline: progress and stopping between steps, frames out.

What has to be called, and how, is its family's to say. The pipeline can serve again afterwards.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest
from t2v_api.result import MOST_NOTICES, NOTICE_CHARACTERS

from t2v_runner.checkpoints.keeper import Keeper
from t2v_runner.checkpoints.stepping import CannotGoOn, Snapshot, kept
from t2v_runner.errors import RequestRefused
from t2v_runner.families.base import Adapter
from t2v_runner.families.reversible import wrapped
from t2v_runner.reporter import Reporter
from t2v_runner.sound import Sound, lasting
from t2v_runner.speed import cache_of, sped_up

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Drawn:
    """What came of one request."""

    frames: "Frames"
    """uint8 RGB of shape (num_frames, height, width, 3)."""
    sound: Sound | None
    """As long as the frames."""
    scheduler_class: str
    """What ran."""
    dtype: str
    """The denoiser's number format."""
    cache: str | None
    """What used answers of earlier steps again."""
    notices: tuple[str, ...]
    """What of the request the model did not use."""
    resumed_step: int | None = None
    """The step that it went on from. None: it was drawn from its beginning."""


def denoise(
    loaded: Any,
    adapter: Adapter,
    request: GenerationRequest,
    init_frames: "Frames | None",
    reporter: Reporter,
    keeper: Keeper | None = None,
) -> Drawn:
    """Draw the request with a loaded pipeline of the adapter's family.

    `init_frames` are what it starts from, as `read_init_frames` gives them; without them it starts
    from noise. The `keeper` gets a snapshot of each step, and may have one to go on from.
    Raises Stopped between two steps, and RequestRefused.
    """
    if keeper is None:
        return _drawn(loaded, adapter, request, init_frames, reporter, None, None)
    before = keeper.begin(is_exact=_is_exact(loaded, request))
    if before:
        try:
            return _drawn(loaded, adapter, request, init_frames, reporter, keeper, before)
        except CannotGoOn as error:
            keeper.ignore(f"a checkpoint was not used: {error}"[:NOTICE_CHARACTERS])
    return _drawn(loaded, adapter, request, init_frames, reporter, keeper, None)


def _is_exact(loaded: Any, request: GenerationRequest) -> bool:
    """Whether nothing but the latents, the scheduler and random numbers go from step to step."""
    guider = getattr(loaded, "guider", None)
    return request.speed is None and getattr(guider, "momentum_buffer", None) is None


def _drawn(
    loaded: Any,
    adapter: Adapter,
    request: GenerationRequest,
    init_frames: "Frames | None",
    reporter: Reporter,
    keeper: Keeper | None,
    before: Snapshot | None,
) -> Drawn:
    import torch

    # Some pipelines call the scheduler without a generator, some schedulers draw on the CPU.
    torch.manual_seed(request.seed)
    generator = torch.Generator("cpu").manual_seed(request.seed)
    reporter.enter(Stage.ENCODE_PROMPT)
    with (
        torch.inference_mode(),
        adapter.prepared(loaded, request, init_frames, generator) as (pipeline, arguments),
        _kept(pipeline, generator, keeper, before),
        _reported(pipeline, reporter, before.step if before else 0, keeper),
        sped_up(adapter, pipeline, request, denoisers(pipeline)),
    ):
        notices = tuple(adapter.notices(pipeline, request))
        output = pipeline(**arguments, generator=generator, output_type="np")
        sound = adapter.sound(pipeline, output)
        scheduler_class = type(pipeline.scheduler).__name__
        dtype = str(denoisers(pipeline)[0].dtype).removeprefix("torch.")
        cache = cache_of(adapter, pipeline, request)
    frames = _to_frames(output.frames[0])
    if frames.shape[:3] != (request.num_frames, request.height, request.width):
        count, height, width, _ = frames.shape
        raise RequestRefused(
            f"asked for {request.num_frames} frames of {request.width}x{request.height}, the model "
            f"draws {count} of {width}x{height}; ask for a number and size that it can draw"
        )
    if sound:
        sound = lasting(sound, Fraction(request.num_frames, request.fps))
    if keeper and keeper.ignored:
        notices = (*notices, keeper.ignored)[:MOST_NOTICES]
    resumed = before.step if before else None
    cached = str(cache) if cache else None
    return Drawn(frames, sound, scheduler_class, dtype, cached, notices, resumed)


def denoisers(pipeline: Any) -> list[Any]:
    """The models that are asked at each step: one, or experts for much noise and for little."""
    names = ("unet", "transformer", "transformer_2")
    return [model for name in names if (model := getattr(pipeline, name, None)) is not None]


def _kept(
    pipeline: Any, generator: Any, keeper: Keeper | None, before: Snapshot | None
) -> AbstractContextManager[None]:
    if keeper is None:
        return nullcontext()
    return kept(pipeline, denoisers(pipeline), generator, keeper, before)


@contextmanager
def _reported(
    pipeline: Any, reporter: Reporter, before: int, keeper: Keeper | None
) -> Iterator[None]:
    """Tell each denoising step and the decoding, whatever callbacks the pipeline may have.

    Steps are counted where every pipeline passes, in the scheduler; raising there stops for good.
    The first ones, `before`, were done by an earlier run.
    """
    done = steps = 0

    def get_timesteps(real: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal steps
        *rest, timesteps, count = real(*arguments, **named)
        steps = len(timesteps)
        return *rest, timesteps, count

    def begin(*_: object) -> None:
        # Where the text encoders go first, the denoiser has just been loaded.
        if reporter.stage in (Stage.ENCODE_PROMPT, Stage.LOAD):
            reporter.enter(Stage.DENOISE)

    def step(real: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal done, steps
        # Not every pipeline counts; then it is all of them, 2n-1 with some schedulers.
        steps = steps or getattr(pipeline, "_num_timesteps", 0) or len(pipeline.scheduler.timesteps)
        result = real(*arguments, **named)
        done += 1
        if done >= before:
            reporter.denoised(done, max(done, steps), before)
        return result

    def decode(real: Any, *arguments: Any, **named: Any) -> Any:
        if reporter.stage is Stage.DENOISE:
            if keeper:
                keeper.denoised()
            reporter.enter(Stage.DECODE)
        return real(*arguments, **named)

    with ExitStack() as changes:
        for denoiser in denoisers(pipeline):
            changes.callback(denoiser.register_forward_pre_hook(begin).remove)
        if hasattr(pipeline, "get_timesteps"):
            # A strength below 1 leaves fewer.
            changes.enter_context(wrapped(pipeline, "get_timesteps", get_timesteps))
        changes.enter_context(wrapped(pipeline.scheduler, "step", step))
        changes.enter_context(wrapped(pipeline.vae, "decode", decode))
        yield


def _to_frames(video: Any) -> "Frames":
    """Rounded, not truncated, from floats in 0..1."""
    import numpy as np

    video = np.asarray(video)
    frames: Frames = np.empty(video.shape, dtype=np.uint8)
    for frame, floats in zip(frames, video, strict=True):  # one by one: floats are large
        if not np.isfinite(floats).all():
            raise FloatingPointError("the model drew values that are not numbers")
        frame[...] = np.rint(floats * 255).clip(0, 255)
    return frames

"""What is done when memory runs out: the next plan, or another way to decode."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from t2v_api.execution import Execution, Placement, Plan
from t2v_api.progress import Progress
from t2v_api.start import Start
from t2v_runner import drawing as room
from t2v_runner import placing
from t2v_runner.components import tiled
from t2v_runner.decoding import decoding_again
from t2v_runner.denoise import Drawn
from t2v_runner.device import Device
from t2v_runner.drawing import Drawing
from t2v_runner.errors import OutOfMemory
from t2v_runner.families.reversible import wrapped
from t2v_runner.planning import Ways
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.drawing import Frames, Loader, Tiny, asked, draw
from tests.runner.tiny_models import a_profile

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")

MODELS = pytest.mark.parametrize("name", ["AnimateDiff", "Wan", "Wan 2.2 A14B", "LTX-2.3"])
PLACEMENTS = tuple(map(Plan, Placement))
MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


@pytest.fixture(autouse=True)
def every_placement_is_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ways_for", lambda drawing, device: Ways(PLACEMENTS))


@contextmanager
def running_out(owner: Any, name: str, times: int) -> Iterator[list[int]]:
    """The first `times` calls of a method of the class find no memory."""
    calls: list[int] = []

    def call(real: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) <= times:
            raise MEMORY
        return real(*arguments, **named)

    with wrapped_on_class(owner, name, call):
        yield calls


@contextmanager
def wrapped_on_class(owner: type, name: str, wrapper: Callable[..., Any]) -> Iterator[None]:
    """As `wrapped`, for every object of a class: pipelines are loaded anew."""
    real = getattr(owner, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, lambda *given, **named: wrapper(real, *given, **named))
        yield


def drawn(tiny: Tiny) -> tuple[Drawn, Execution, list[Progress]]:
    told: list[Progress] = []
    request, init_frames = asked(tiny.family, Start.TEXT)
    profile = a_profile(tiny.family, tiny.folder)
    job = Drawing(profile, request, tiny.folder, init_frames)
    reporter = Reporter(told.append, StopSignal())
    return *room.draw(job, Device("cpu", torch.float32), reporter), told


def undisturbed(tiny: Tiny) -> Frames:
    return draw(tiny, *asked(tiny.family, Start.TEXT))[0]


def in_tiles(tiny: Tiny) -> Frames:
    tiled(tiny.pipeline.vae)
    try:
        return undisturbed(tiny)
    finally:
        tiny.pipeline.vae.disable_tiling()
        getattr(tiny.pipeline.vae, "disable_slicing", lambda: None)()


def denoiser(tiny: Tiny) -> type:
    return type(getattr(tiny.pipeline, "transformer", None) or tiny.pipeline.unet)


@MODELS
def test_where_loading_finds_no_memory_the_next_plan_is_tried(
    load: Loader, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = load(name)
    real, calls = placing.load_pipeline, list[int]()

    def load_pipeline(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) <= 2:
            raise MEMORY
        return real(*arguments, **named)

    monkeypatch.setattr(placing, "load_pipeline", load_pipeline)
    result, execution, _ = drawn(tiny)
    assert execution.fell_back == ("AllOnGpu: load", "EncoderFirst: load")
    assert result.frames.tobytes() == undisturbed(tiny).tobytes()


@MODELS
def test_where_denoising_finds_no_memory_the_next_plan_is_tried(load: Loader, name: str) -> None:
    """Also in the middle of the way."""
    tiny = load(name)
    with running_out(denoiser(tiny), "forward", 1):
        result, execution, told = drawn(tiny)
    assert execution.fell_back == ("AllOnGpu: denoise",)
    assert result.frames.tobytes() == undisturbed(tiny).tobytes()
    percents = [each.percent for each in told]
    assert percents == sorted(percents)


def test_nothing_is_left_of_the_plan_that_failed(load: Loader) -> None:
    """Its weights would be in the way of the next one."""
    tiny, calls, held = load("Wan"), list[int](), list[torch.Tensor]()

    def call(real: Any, model: torch.nn.Module, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            held.extend(model.parameters())
            raise MEMORY
        assert {each.numel() for each in held} == {0}
        return real(model, *arguments, **named)

    with wrapped_on_class(denoiser(tiny), "forward", call):
        drawn(tiny)
    assert len(calls) > 1


@MODELS
@pytest.mark.parametrize(
    ("times", "fell_back"),
    [
        (1, ("decoding beside the other models",)),
        (2, ("decoding beside the other models", "decoding all at once")),
    ],
)
def test_a_decode_that_finds_no_memory_is_repeated_without_denoising_again(
    load: Loader, name: str, times: int, fell_back: tuple[str, ...]
) -> None:
    tiny = load(name)
    expected = undisturbed(tiny) if times == 1 else in_tiles(tiny)
    decodes = running_out(type(tiny.pipeline.vae), "decode", times)
    asked_for = running_out(denoiser(tiny), "forward", 0)
    with ExitStack() as changes:
        calls = changes.enter_context(asked_for)
        undisturbed(tiny)
        once = len(calls)
        changes.enter_context(decodes)
        result, execution, _ = drawn(tiny)
    assert len(calls) == 2 * once
    assert execution.fell_back == fell_back
    assert result.frames.tobytes() == expected.tobytes()


def test_sound_that_finds_no_memory_is_decoded_again(load: Loader) -> None:
    tiny = load("LTX2")
    with running_out(type(tiny.pipeline.audio_vae), "decode", 1):
        result, execution, _ = drawn(tiny)
    assert execution.fell_back == ("decoding beside the other models",)
    assert result.frames.tobytes() == undisturbed(tiny).tobytes()
    assert result.sound


def test_a_decode_that_finds_no_memory_anywhere_ends_the_video(load: Loader) -> None:
    tiny = load("Wan")
    with (
        running_out(type(tiny.pipeline.vae), "decode", 100),
        running_out(denoiser(tiny), "forward", 0) as calls,
        pytest.raises(OutOfMemory, match=r"tried: decoding beside.*all at once, AllOnGpu: decode"),
    ):
        drawn(tiny)
    assert len(calls) == 4  # two steps, with the prompt and without it: nothing was drawn twice


def test_where_no_plan_holds_the_error_says_what_was_tried(load: Loader) -> None:
    tiny = load("Wan")
    with (
        running_out(denoiser(tiny), "forward", 100),
        pytest.raises(OutOfMemory) as error,
    ):
        drawn(tiny)
    assert str(error.value) == (
        "the device's memory does not hold this request: fewer frames or a smaller size need less "
        "(tried: AllOnGpu: denoise, EncoderFirst: denoise, ModelOffload: denoise, "
        "GroupOffload: denoise)"
    )


def test_other_errors_are_not_tried_again(load: Loader) -> None:
    tiny, calls = load("Wan"), list[int]()

    def call(real: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        raise ZeroDivisionError

    with wrapped_on_class(denoiser(tiny), "forward", call), pytest.raises(ZeroDivisionError):
        drawn(tiny)
    assert len(calls) == 1


def test_the_record_says_how_it_was_drawn(load: Loader) -> None:
    _, execution, _ = drawn(load("Wan"))
    assert execution == Execution(device="cpu", dtype="float32")


class OnAGpu:
    """A pipeline as the steps see it, on a device that this machine does not have."""

    _execution_device = torch.device("cuda")

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.components = {"vae": vae}


def test_the_last_way_to_decode_is_the_cpu(load: Loader) -> None:
    fell_back, calls = list[str](), list[int]()
    vae = load("Wan").pipeline.vae

    def decode(real: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) <= 3:
            raise MEMORY
        return real(*arguments, **named)

    latents = torch.zeros(1, vae.config.z_dim, 2, 8, 8)
    with (
        torch.inference_mode(),
        wrapped(vae, "decode", decode),
        decoding_again(OnAGpu(vae), fell_back),
    ):
        (frames,) = vae.decode(latents, return_dict=False)
    vae.disable_tiling()
    assert fell_back == [
        "decoding beside the other models",
        "decoding all at once",
        "decoding on cuda",
    ]
    assert np.isfinite(frames.numpy()).all()

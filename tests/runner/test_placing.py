"""Memory plans change where a model is, and not what it draws. The device is the CPU itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from t2v_api.execution import Placement, Plan
from t2v_api.family import ModelFamily
from t2v_api.progress import Progress, Stage
from t2v_api.speed import Speed
from t2v_api.start import Start
from t2v_runner.checkpoints.file import write
from t2v_runner.checkpoints.keeper import Keeper, Keeping
from t2v_runner.components import tiled
from t2v_runner.denoise import denoise, denoisers
from t2v_runner.device import Device
from t2v_runner.families import adapter_of
from t2v_runner.placing import Weights, placed
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.drawing import Frames, Loader, Tiny, asked, check_frames, draw
from tests.runner.tiny_models import a_profile
from tests.runner.tiny_variants import STARTS, TINY_MODELS

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")

MODELS = pytest.mark.parametrize("name", TINY_MODELS)
OTHERS = pytest.mark.parametrize("placement", list(Placement)[1:], ids=str)


def draw_by(
    plan: Plan, tiny: Tiny, start: Start, keeper: Keeper | None = None, **changes: Any
) -> tuple[Frames, list[Progress]]:
    """The frames of a pipeline that is loaded for them as the plan says."""
    told: list[Progress] = []
    reporter = Reporter(told.append, StopSignal())
    weights = Weights(a_profile(tiny.family, tiny.folder), tiny.folder)
    with placed(weights, plan, Device("cpu", torch.float32), reporter) as pipeline:
        wanted = asked(tiny.family, start, **changes)
        drawn = denoise(pipeline, adapter_of(tiny.family), *wanted, reporter, keeper)
    return drawn.frames, told


@OTHERS
@MODELS
def test_a_placement_draws_the_very_same_frames(
    load: Loader, name: str, placement: Placement
) -> None:
    tiny = load(name)
    for start in STARTS[name]:
        expected, _ = draw(tiny, *asked(tiny.family, start))
        frames, _ = draw_by(Plan(placement), tiny, start)
        assert frames.tobytes() == expected.tobytes(), start


@MODELS
def test_weights_in_8_bits_draw_other_frames(load: Loader, name: str) -> None:
    tiny, start = load(name), STARTS[name][0]
    request, _ = asked(tiny.family, start)
    expected, _ = draw(tiny, *asked(tiny.family, start))
    frames, _ = draw_by(Plan(Placement.ALL_ON_GPU, fp8=True), tiny, start)
    check_frames(frames, request)
    assert not np.array_equal(frames, expected)
    again, _ = draw_by(Plan(Placement.ENCODER_FIRST, fp8=True), tiny, start)
    assert again.tobytes() == frames.tobytes()


@MODELS
def test_tiles_draw_the_size_that_was_asked_for(load: Loader, name: str) -> None:
    tiny, start = load(name), STARTS[name][0]
    request, given = asked(tiny.family, start, width=64, height=64)
    frames, _ = draw_by(Plan(Placement.MODEL_OFFLOAD, tiling=True), tiny, start)
    check_frames(frames, request)
    assert given is None or len(given)


def test_encoders_are_gone_before_a_denoiser_is_there(load: Loader) -> None:
    """Nothing of the one and of the other is in memory at the same time."""
    tiny = load("Wan 2.2 A14B")
    held: list[tuple[int, int]] = []

    def size(module: torch.nn.Module) -> int:
        return sum(each.numel() for each in module.parameters() if not each.is_meta)

    def look(progress: Progress) -> None:
        if progress.stage in (Stage.ENCODE_PROMPT, Stage.DENOISE):
            held.append((size(pipeline.text_encoder), sum(map(size, denoisers(pipeline)))))

    weights = Weights(a_profile(tiny.family, tiny.folder), tiny.folder)
    reporter = Reporter(look, StopSignal())
    plan = Plan(Placement.ENCODER_FIRST)
    with placed(weights, plan, Device("cpu", torch.float32), reporter) as pipeline:
        denoise(pipeline, tiny.adapter, *asked(tiny.family, Start.TEXT), reporter)
    (encoders, none), *later = held
    assert encoders > 0
    assert none == 0
    assert {each[0] for each in later} == {0}
    assert all(each[1] > 0 for each in later)


@OTHERS
def test_answers_of_earlier_steps_are_used_again_wherever_the_model_is(
    load: Loader, placement: Placement
) -> None:
    tiny, wish = load("LTX2"), {"num_inference_steps": 10}
    exact, _ = draw_by(Plan(Placement.ALL_ON_GPU), tiny, Start.TEXT, **wish)
    expected, _ = draw_by(Plan(Placement.ALL_ON_GPU), tiny, Start.TEXT, speed=Speed.FAST, **wish)
    frames, _ = draw_by(Plan(placement), tiny, Start.TEXT, speed=Speed.FAST, **wish)
    assert frames.tobytes() == expected.tobytes() != exact.tobytes()


def test_text_encoders_leave_though_an_expert_is_never_called(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offloading by diffusers's order alone would keep them until that expert has come."""
    tiny, sent = load("Wan 2.2 A14B"), list[Stage]()
    encoder = type(tiny.pipeline.text_encoder)
    real = encoder.to
    weights = Weights(a_profile(tiny.family, tiny.folder), tiny.folder)
    plan, reporter = Plan(Placement.MODEL_OFFLOAD), Reporter(lambda progress: None, StopSignal())

    def to(model: Any, device: Any, *arguments: Any, **named: Any) -> Any:
        if device == "cpu":
            sent.append(reporter.stage)
        return real(model, device, *arguments, **named)

    with placed(weights, plan, Device("cpu", torch.float32), reporter) as pipeline:
        monkeypatch.setattr(encoder, "to", to)
        wanted = asked(tiny.family, Start.VIDEO, strength=0.5)
        denoise(pipeline, tiny.adapter, *wanted, reporter)
    assert sent[0] is Stage.ENCODE_PROMPT


@pytest.mark.parametrize("placement", list(Placement), ids=str)
def test_what_one_placement_has_begun_another_ends(
    load: Loader, tmp_path: Path, placement: Placement
) -> None:
    tiny, wish = load("Wan"), {"num_inference_steps": 3}
    keeping = Keeping(tmp_path / "kept", tmp_path / "part", 600.0)
    first = Keeper(keeping).under({})
    expected, _ = draw_by(Plan(Placement.ALL_ON_GPU), tiny, Start.TEXT, first, **wish)
    (last,) = first._latest
    assert last.is_last
    for snapshot in (replace(last, is_last=False), last):
        write(snapshot, {}, keeping.part, keeping.path)
        keeper = Keeper(keeping).under({})
        frames, told = draw_by(Plan(placement), tiny, Start.TEXT, keeper, **wish)
        assert keeper.step == 3
        assert frames.tobytes() == expected.tobytes()
        is_loaded = Stage.LOAD in {each.stage for each in told}
        # Finished latents need no denoiser.
        assert is_loaded is (placement is Placement.ENCODER_FIRST and not snapshot.is_last)


def test_loading_a_denoiser_late_is_told_and_percent_goes_on(load: Loader) -> None:
    _, told = draw_by(Plan(Placement.ENCODER_FIRST), load("Wan"), Start.TEXT)
    stages = list(dict.fromkeys(each.stage for each in told))
    assert stages == [Stage.START, Stage.ENCODE_PROMPT, Stage.LOAD, Stage.DENOISE, Stage.DECODE]
    percents = [each.percent for each in told]
    assert percents == sorted(percents)


def test_tiles_of_a_larger_picture_are_put_together(load: Loader, tmp_path: Path) -> None:
    tiny = load(ModelFamily.WAN.value)
    vae = tiny.pipeline.vae
    latents = torch.randn(
        1, vae.config.z_dim, 2, 40, 40, generator=torch.Generator().manual_seed(0)
    )
    with torch.inference_mode():
        whole = vae.decode(latents).sample
        tiled(vae)
        try:
            parts = vae.decode(latents).sample
        finally:
            vae.disable_tiling()
    assert parts.shape == whole.shape
    assert not torch.equal(parts, whole)

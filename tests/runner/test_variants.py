"""Models that differ within their family: Wan 2.2, LTX 0.9.7, number formats of each component."""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from t2v_api.family import ModelFamily
from t2v_api.schedulers import Scheduler, usable
from t2v_api.start import Start
from t2v_runner.denoise import denoisers
from t2v_runner.errors import RequestRefused
from t2v_runner.families.base import pictures
from t2v_runner.families.reversible import wrapped

from tests.runner.drawing import (
    Loader,
    a_request,
    a_tiny,
    calls_of_experts,
    check_frames,
    check_progress,
    draw,
    drawn,
    from_video,
)
from tests.runner.tiny_variants import TINY_MODELS

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")

WAN_2_2 = pytest.mark.parametrize("name", ["Wan 2.2 A14B", "Wan 2.2 TI2V-5B"])
LTX_VARIANTS = pytest.mark.parametrize("name", ["LTX 0.9.7", "LTX for images"])


@WAN_2_2
@pytest.mark.parametrize("scheduler", [Scheduler.UNIPC_MULTISTEP, Scheduler.HEUN_DISCRETE], ids=str)
def test_wan_2_2_draws_from_text_and_from_a_video(
    load: Loader, name: str, scheduler: Scheduler
) -> None:
    tiny = load(name)
    order = 2 if scheduler is Scheduler.HEUN_DISCRETE else 1
    request = a_request(ModelFamily.WAN, scheduler=scheduler, width=96, num_inference_steps=10)
    frames, told = draw(tiny, request)
    check_frames(frames, request)
    check_progress(told, steps=order * 10 - (order - 1))
    request, start = from_video(
        ModelFamily.WAN, scheduler=scheduler, width=96, num_inference_steps=10
    )
    frames, told = draw(tiny, request, start)
    check_frames(frames, request)
    check_progress(told, steps=order * 5 - (order - 1))
    assert draw(tiny, request, 255 - start)[0].tobytes() != frames.tobytes()


@pytest.mark.parametrize("scheduler", usable(ModelFamily.WAN, Start.VIDEO), ids=str)
def test_wan_2_1_starts_from_a_video_as_diffusers_own_pipeline_for_that_does(
    load: Loader, scheduler: Scheduler
) -> None:
    tiny = load("Wan")
    request, start = from_video(
        tiny.family, scheduler=scheduler, num_inference_steps=7, strength=0.6
    )
    taken = {"tokenizer", "text_encoder", "transformer", "vae"}
    parts = {name: part for name, part in tiny.pipeline.components.items() if name in taken}
    theirs = diffusers.WanVideoToVideoPipeline(
        **parts, scheduler=tiny.adapter.scheduler(tiny.pipeline, request)
    )
    theirs.set_progress_bar_config(disable=True)
    torch.manual_seed(request.seed)
    with torch.inference_mode():
        expected = theirs(
            video=pictures(start),
            prompt=request.prompt,
            width=64,
            height=64,
            strength=0.6,
            num_inference_steps=7,
            guidance_scale=request.guidance_scale,
            generator=torch.Generator().manual_seed(request.seed),
        ).frames[0]
    assert (
        drawn(tiny, request, start).frames.tobytes()
        == np.rint(expected * 255).astype(np.uint8).tobytes()
    )


def test_both_experts_of_a14b_are_asked(load: Loader) -> None:
    tiny, changes = load("Wan 2.2 A14B"), {"num_inference_steps": 10, "guidance_scale": 1.0}
    # With a shift of 3 the first three of ten steps are at 0.875 of the noise or above.
    assert calls_of_experts(tiny, a_request(tiny.family, **changes)) == [3, 7]
    assert calls_of_experts(tiny, *from_video(tiny.family, strength=0.9, **changes)) == [2, 7]
    assert calls_of_experts(tiny, *from_video(tiny.family, strength=0.5, **changes)) == [0, 5]


@pytest.mark.parametrize("is_video", [False, True], ids=["from text", "from a video"])
def test_the_second_guidance_scale_is_the_second_expert_s(load: Loader, is_video: bool) -> None:
    def frames(name: str, **changes: Any) -> bytes:
        changes |= {"num_inference_steps": 6, "guidance_scale": 4.0}
        family = ModelFamily.WAN
        asked = from_video(family, **changes) if is_video else (a_request(family, **changes), None)
        return drawn(load(name), *asked).frames.tobytes()

    same = frames("Wan 2.2 A14B")
    assert frames("Wan 2.2 A14B", guidance_scale_2=4.0) == same
    assert frames("Wan 2.2 A14B", guidance_scale_2=9.0) != same


def test_a_model_with_one_expert_says_that_the_second_scale_has_no_effect(load: Loader) -> None:
    result = drawn(load("Wan 2.2 TI2V-5B"), a_request(ModelFamily.WAN, guidance_scale_2=3.0))
    assert result.notices == ("guidanceScale2 has no effect: this model has one expert",)


@pytest.mark.parametrize("is_video", [False, True], ids=["from text", "from a video"])
def test_a_size_between_those_of_ti2v_is_refused_before_it_draws(
    load: Loader, is_video: bool
) -> None:
    tiny = load("Wan 2.2 TI2V-5B")
    asked = from_video(tiny.family, width=80) if is_video else (a_request(tiny.family, width=80),)
    with pytest.raises(RequestRefused, match="width is 80; this model draws multiples of 32, try"):
        drawn(tiny, *asked)


@LTX_VARIANTS
def test_ltx_draws_whatever_its_index_names(load: Loader, name: str) -> None:
    tiny = load(name)
    request = a_request(ModelFamily.LTX, num_inference_steps=4)
    frames, told = draw(tiny, request)
    check_frames(frames, request)
    check_progress(told, steps=4)
    request, start = from_video(ModelFamily.LTX, num_inference_steps=4)
    frames, told = draw(tiny, request, start)
    check_frames(frames, request)
    check_progress(told, steps=2)


def test_ltx_0_9_7_keeps_to_its_own_timesteps_where_the_scheduler_takes_them(load: Loader) -> None:
    tiny = load("LTX 0.9.7")

    def name(scheduler: Scheduler) -> str:
        request = a_request(tiny.family, scheduler=scheduler)
        check_frames(drawn(tiny, request).frames, request)
        return tiny.adapter.class_name(tiny.pipeline, request)

    assert name(Scheduler.EULER_DISCRETE) == "LTXConditionPipeline"
    assert name(Scheduler.UNIPC_MULTISTEP) == "LTXPipeline"


def test_a_decoder_that_denoises_is_told_when(load: Loader) -> None:
    def arguments(name: str) -> dict[str, Any]:
        tiny, request = load(name), a_request(ModelFamily.LTX)
        generator = torch.Generator()
        with tiny.adapter.prepared(tiny.pipeline, request, None, generator) as (_, arguments):
            return {key: value for key, value in arguments.items() if key.startswith("decode")}

    assert arguments("LTX 0.9.7") == {"decode_timestep": 0.05, "decode_noise_scale": 0.025}
    assert arguments("LTX for images") == {}


FULL, HALF, BRAIN = torch.float32, torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    ("name", "denoiser", "vae"),
    [
        ("AnimateDiff", HALF, HALF),
        ("CogVideoX-2b", HALF, HALF),
        ("CogVideoX", BRAIN, BRAIN),
        ("Wan", BRAIN, BRAIN),
        ("Wan 2.2 A14B", BRAIN, FULL),
        ("Wan 2.2 TI2V-5B", BRAIN, FULL),
        ("LTX", BRAIN, BRAIN),
        ("LTX2", BRAIN, BRAIN),
        ("LTX-2.3", BRAIN, BRAIN),
        ("HunyuanVideo", BRAIN, BRAIN),
        ("HunyuanVideo15", BRAIN, BRAIN),
        ("Mochi", BRAIN, BRAIN),
        ("Latte", BRAIN, BRAIN),
        ("TextToVideoSD", BRAIN, BRAIN),
    ],
)
def test_each_component_is_loaded_in_what_it_was_trained_in(
    tmp_path: Path, name: str, denoiser: torch.dtype, vae: torch.dtype
) -> None:
    tiny = a_tiny(name, tmp_path / "model", torch.bfloat16)
    assert denoisers(tiny.pipeline)[0].dtype == denoiser
    assert tiny.pipeline.vae.dtype == vae
    request = a_request(tiny.family)
    check_frames(drawn(tiny, request).frames, request)
    if tiny.family.traits.video_to_video:
        request, start = from_video(tiny.family)
        check_frames(drawn(tiny, request, start).frames, request)
    assert tiny.pipeline.vae.dtype == vae


@pytest.mark.parametrize("name", TINY_MODELS)
def test_without_a_gpu_everything_is_float32(load: Loader, name: str) -> None:
    parts = load(name).pipeline.components.values()
    dtypes = {each.dtype for each in parts if isinstance(each, torch.nn.Module)}
    assert dtypes == {torch.float32}


def test_wan_encodes_in_float32_whatever_it_decodes_in(tmp_path: Path) -> None:
    tiny = a_tiny("Wan", tmp_path / "model", torch.bfloat16)
    before = [each.clone() for each in tiny.pipeline.vae.parameters()]
    seen: list[tuple[torch.dtype, torch.dtype]] = []

    def look(real: Any, pixels: torch.Tensor, *arguments: Any, **named: Any) -> Any:
        seen.append((pixels.dtype, tiny.pipeline.vae.dtype))
        return real(pixels, *arguments, **named)

    with wrapped(tiny.pipeline.vae, "encode", look), wrapped(tiny.pipeline.vae, "decode", look):
        drawn(tiny, *from_video(tiny.family))
    assert seen == [(FULL, FULL), (BRAIN, BRAIN)]
    after = list(tiny.pipeline.vae.parameters())
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert not any(each.is_inference() for each in after)

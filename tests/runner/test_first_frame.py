"""Models that are given frames of the video: the first, the last, or both."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from t2v_api.family import ModelFamily
from t2v_api.progress import Progress
from t2v_api.schedulers import Scheduler, usable, verdict
from t2v_api.start import Start
from t2v_runner.denoise import denoisers
from t2v_runner.errors import InitMediaNotSupported, ModelNotLoadable, RequestRefused
from t2v_runner.families.reversible import wrapped
from t2v_runner.model import check_request
from t2v_runner.starts import check_starts

from tests.runner.drawing import (
    Frames,
    Loader,
    Tiny,
    a_request,
    a_tiny,
    asked,
    calls_of_experts,
    check_frames,
    check_progress,
    drawn,
    from_video,
)
from tests.runner.test_adapters import called_with
from tests.runner.test_families import evaluations, with_scheduler
from tests.runner.tiny_models import a_profile
from tests.runner.tiny_variants import STARTS, TINY_MODELS

GIVEN = [
    (name, start)
    for name, starts in STARTS.items()
    for start in starts
    if start not in (Start.TEXT, Start.VIDEO)
]
FRAMES_GIVEN = pytest.mark.parametrize(("name", "start"), GIVEN)
WITH_SCHEDULERS = [
    (name, start, scheduler)
    for name, start in GIVEN
    if name in ("Wan 2.1 I2V", "CogVideoX I2V", "LTX", "LTX2", "HunyuanVideo-1.5 I2V")
    for scheduler in usable(TINY_MODELS[name][0], start)
]


def test_every_start_of_every_family_is_seen() -> None:
    seen = {(TINY_MODELS[name][0], start) for name, start in GIVEN}
    assert seen == {(each, start) for each in ModelFamily for start in each.traits.frames_given}


@FRAMES_GIVEN
def test_each_frame_that_is_given_matters_and_so_does_the_seed(
    load: Loader, name: str, start: Start
) -> None:
    tiny = load(name)
    request, frames = asked(tiny.family, start)
    assert frames is not None
    first = drawn(tiny, request, frames).frames
    check_frames(first, request)
    assert drawn(tiny, request, frames).frames.tobytes() == first.tobytes()
    other = request.model_copy(update={"seed": 8})
    assert drawn(tiny, other, frames).frames.tobytes() != first.tobytes()
    for place in range(len(frames)):
        changed = frames.copy()
        changed[place] = 255 - changed[place]
        assert drawn(tiny, request, changed).frames.tobytes() != first.tobytes()


@FRAMES_GIVEN
def test_the_same_in_bfloat16(tmp_path: Path, name: str, start: Start) -> None:
    tiny = a_tiny(name, tmp_path / "model", torch.bfloat16)
    before = [each.clone() for each in tiny.pipeline.vae.parameters()]
    request, frames = asked(tiny.family, start, num_inference_steps=3)
    check_frames(drawn(tiny, request, frames).frames, request)
    assert denoisers(tiny.pipeline)[0].dtype == torch.bfloat16
    after = list(tiny.pipeline.vae.parameters())
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert not any(each.is_inference() for each in after)


@pytest.mark.parametrize(("name", "start", "scheduler"), WITH_SCHEDULERS)
def test_a_frame_is_gone_on_from_with_every_scheduler_that_the_verdict_allows(
    load: Loader, name: str, start: Start, scheduler: Scheduler
) -> None:
    tiny = load(name)
    request, frames = asked(tiny.family, start, num_inference_steps=4)
    told: list[Progress] = []
    request = with_scheduler(request, scheduler)
    result = drawn(tiny, request, frames, told=told)
    assert result.scheduler_class == verdict(tiny.family, scheduler, start).class_name
    check_frames(result.frames, request)
    check_progress(told, evaluations(scheduler, request.num_inference_steps))


@FRAMES_GIVEN
def test_each_image_stands_in_its_place(
    monkeypatch: pytest.MonkeyPatch, load: Loader, name: str, start: Start
) -> None:
    tiny = load(name)
    request, frames = asked(tiny.family, start)
    assert frames is not None
    call = called_with(monkeypatch, tiny, request, frames)
    images = [each.tobytes() for each in frames]
    if "conditions" in call:
        is_2 = tiny.family is ModelFamily.LTX2
        # LTX-2's pipeline counts the frames of the latents.
        place, image, last = (
            ("index", "frames", -1) if is_2 else ("frame_index", "image", request.num_frames - 1)
        )
        places = {Start.FIRST_FRAME: [0], Start.LAST_FRAME: [last], Start.BOTH_FRAMES: [0, last]}
        given = [(each[place], each[image]) for each in call["conditions"]]
        assert given == list(zip(places[start], images, strict=True))
        assert {each["strength"] for each in call["conditions"]} == {1.0}
    else:
        assert [call[key] for key in ("image", "last_image") if key in call] == images
    assert not {"strength", "denoise_strength", "latents"} & set(call)


@pytest.mark.parametrize(
    "name", ["Wan 2.2 TI2V-5B", "LTX", "LTX 0.9.7", "LTX2", "LTX-2 with conditions"]
)
def test_the_first_frame_is_the_image_whatever_the_prompt_says(load: Loader, name: str) -> None:
    tiny = load(name)

    def decoded(prompt: str, image: Frames) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        request, _ = asked(tiny.family, Start.FIRST_FRAME, prompt=prompt, num_inference_steps=4)

        def look(real: Any, latents: torch.Tensor, *arguments: Any, **named: Any) -> Any:
            seen.append(latents)
            return real(latents, *arguments, **named)

        with wrapped(tiny.pipeline.vae, "decode", look):
            drawn(tiny, request, image)
        return seen[0]

    _, image = asked(tiny.family, Start.FIRST_FRAME)
    assert image is not None
    one, other = decoded("a cat", image), decoded("a dog", image)
    assert torch.equal(one[:, :, 0], other[:, :, 0])
    assert not torch.equal(one[:, :, 1], other[:, :, 1])
    assert not torch.equal(one[:, :, 0], decoded("a cat", 255 - image)[:, :, 0])


def shown(tiny: Tiny, start: Start, **changes: Any) -> list[dict[str, Any]]:
    """What the denoiser is called with at each step of a request that starts so."""
    calls: list[dict[str, Any]] = []

    def look(real: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(named)
        return real(*arguments, **named)

    with wrapped(tiny.pipeline.transformer, "forward", look):
        drawn(tiny, *asked(tiny.family, start, **changes))
    return calls


@pytest.mark.parametrize("scheduler", usable(ModelFamily.LTX2, Start.BOTH_FRAMES))
def test_ltx_2_is_shown_the_given_frames_without_noise_at_every_step(
    load: Loader, scheduler: Scheduler
) -> None:
    wish = {"num_inference_steps": 4, "guidance_scale": 1.0, "scheduler": scheduler}
    calls = shown(load("LTX2"), Start.BOTH_FRAMES, **wish)
    tokens = [each["hidden_states"] for each in calls]
    assert len(tokens) == 4
    for later in tokens[1:]:
        torch.testing.assert_close(later[:, :4], tokens[0][:, :4])
        torch.testing.assert_close(later[:, -4:], tokens[0][:, -4:])
        assert not torch.allclose(later[:, 4:-4], tokens[0][:, 4:-4])


def test_the_last_frame_of_ltx_2_is_at_the_end_of_the_video(load: Loader) -> None:
    tiny = load("LTX2")
    request, _ = asked(tiny.family, Start.BOTH_FRAMES)
    time = shown(tiny, Start.BOTH_FRAMES)[0]["video_coords"][0, 0, :, 0] * request.fps
    # After two frames of latents of four tokens each.
    assert time.tolist() == [*[0.0] * 4, *[1.0] * 4, *[request.num_frames - 1] * 4]


@pytest.mark.parametrize("name", ["LTX2", "LTX-2 with conditions"])
def test_ltx_2_draws_the_sound_by_the_schedule_that_it_has_from_text(
    load: Loader, name: str
) -> None:
    tiny = load(name)

    def times(start: Start) -> list[float]:
        calls = shown(tiny, start, num_inference_steps=3)
        return [each.get("audio_timestep", each["timestep"])[0].item() for each in calls]

    assert times(Start.FIRST_FRAME) == times(Start.TEXT)


@pytest.mark.parametrize("start", STARTS["Wan 2.2 I2V A14B"])
def test_both_experts_are_given_the_frames(load: Loader, start: Start) -> None:
    tiny = load("Wan 2.2 I2V A14B")
    changes = {"num_inference_steps": 10, "guidance_scale": 1.0}
    # With a shift of 3 the first three of ten steps are at 0.9 of the noise or above.
    assert calls_of_experts(tiny, *asked(tiny.family, start, **changes)) == [3, 7]


def test_wan_encodes_frames_in_float32_and_decodes_as_ever(tmp_path: Path) -> None:
    tiny = a_tiny("Wan 2.1 I2V", tmp_path / "model", torch.bfloat16)
    vae, seen = tiny.pipeline.vae, list[tuple[torch.dtype, torch.dtype]]()
    assert tiny.pipeline.image_encoder.dtype == torch.float32
    decode = vae._decode

    def look(real: Any, pixels: torch.Tensor, *arguments: Any, **named: Any) -> Any:
        seen.append((pixels.dtype, vae.dtype))
        return real(pixels, *arguments, **named)

    with wrapped(vae, "_encode", look), wrapped(vae, "_decode", look):
        drawn(tiny, *asked(tiny.family, Start.FIRST_FRAME))
    assert seen == [(torch.float32,) * 2, (torch.bfloat16,) * 2]
    assert (vae.dtype, vae._decode) == (torch.bfloat16, decode)


def test_a_cogvideox_of_one_size_says_which(load: Loader) -> None:
    tiny = load("CogVideoX I2V")
    with pytest.raises(RequestRefused, match="the size is 96x64; this model draws 64x64 alone"):
        drawn(tiny, *asked(tiny.family, Start.FIRST_FRAME, width=96))


def test_a_still_is_restyled_by_who_could_go_on_from_it(load: Loader) -> None:
    tiny = load("Wan 2.2 TI2V-5B")
    request, frames = from_video(tiny.family, init_video=None, init_image="file:///a.png")
    still = np.repeat(frames[:1], len(frames), axis=0)
    assert request.start is Start.VIDEO
    one = drawn(tiny, request, still).frames
    check_frames(one, request)
    given, image = asked(tiny.family, Start.FIRST_FRAME)
    assert drawn(tiny, given, image).frames.tobytes() != one.tobytes()


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_profile_that_asks_more_of_the_weights_is_refused_before_they_are_loaded(
    load: Loader, name: str
) -> None:
    tiny = load(name)
    for start in tiny.family.traits.starts:
        profile = a_profile(tiny.family, tiny.folder, (start,))
        if start in STARTS[name]:
            check_starts(tiny.folder, profile)
            continue
        own = ", ".join(STARTS[name])
        with pytest.raises(ModelNotLoadable, match=rf"not from {start}: write 'starts: \[{own}\]"):
            check_starts(tiny.folder, profile)


def test_weights_whose_configuration_does_not_say_it_are_refused(tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text("{}")
    with pytest.raises(ModelNotLoadable, match="KeyError: 'in_channels'"):
        check_starts(tmp_path, a_profile(ModelFamily.COGVIDEOX, tmp_path))


def test_the_runner_refuses_what_the_profile_does_not_allow() -> None:
    profile = a_profile(ModelFamily.WAN, Path("anywhere"), (Start.FIRST_FRAME,))
    with pytest.raises(InitMediaNotSupported, match="cannot draw from the prompt alone"):
        check_request(profile, a_request(ModelFamily.WAN))
    check_request(profile, asked(ModelFamily.WAN, Start.FIRST_FRAME)[0])

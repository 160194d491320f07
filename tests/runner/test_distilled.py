"""Models that were distilled to few steps or without guidance, and what guides the others."""

from typing import Any

import pytest
from t2v_runner.denoise import denoisers
from t2v_runner.families.reversible import wrapped

from tests.runner.drawing import Loader, Tiny, a_request, drawn
from tests.runner.test_adapters import called_with


def evaluations(tiny: Tiny, **changes: Any) -> int:
    """How often its denoiser was asked for one request."""
    count = 0
    (denoiser,) = denoisers(tiny.pipeline)

    def forward(real: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        return real(*arguments, **named)

    with wrapped(denoiser, "forward", forward):
        drawn(tiny, a_request(tiny.family, **changes))
    return count


@pytest.mark.parametrize("steps", [4, 8])
@pytest.mark.parametrize(
    ("name", "of_a_guided_step"),
    # LTX-2: both words at once, then without a block, then without the other's ear.
    [("LTX2", 3), ("HunyuanVideo15", 2), ("Wan", 2), ("LTX", 1)],
)
def test_without_guidance_a_model_is_asked_once_at_each_step(
    load: Loader, name: str, of_a_guided_step: int, steps: int
) -> None:
    tiny = load(name)
    assert evaluations(tiny, num_inference_steps=steps, guidance_scale=1.0) == steps
    guided = evaluations(tiny, num_inference_steps=steps, guidance_scale=2.0)
    assert guided == of_a_guided_step * steps


def test_ltx2_s_sound_is_guided_as_its_authors_advise(
    monkeypatch: pytest.MonkeyPatch, load: Loader
) -> None:
    tiny = load("LTX2")

    def audio_scale(scale: float) -> Any:
        request = a_request(tiny.family, guidance_scale=scale)
        return called_with(monkeypatch, tiny, request, None).get("audio_guidance_scale", "its own")

    assert [audio_scale(scale) for scale in (1.0, 3.0, 6.0)] == [1.0, "its own", "its own"]


def test_hunyuan_video_15_is_guided_by_the_request_s_scale(load: Loader) -> None:
    tiny = load("HunyuanVideo15")
    guider = tiny.pipeline.guider

    def frames(**changes: Any) -> bytes:
        return drawn(tiny, a_request(tiny.family, **changes)).frames.tobytes()

    first = frames(guidance_scale=6.0)
    assert frames(guidance_scale=9.0) != first
    assert frames(guidance_scale=6.0, negative_prompt="blurry") != first
    assert frames(guidance_scale=6.0) == first
    assert tiny.pipeline.guider is guider
    assert guider.guidance_scale == 6.0


@pytest.mark.parametrize(
    ("negative_prompt", "what"),
    [("", "guidanceScale has"), ("blurry", "guidanceScale and negativePrompt have")],
)
def test_a_distilled_hunyuan_video_15_is_not_guided_and_says_so(
    load: Loader, negative_prompt: str, what: str
) -> None:
    tiny = load("HunyuanVideo-1.5 distilled")
    request = a_request(tiny.family, guidance_scale=6.0, negative_prompt=negative_prompt)
    said = drawn(tiny, request).notices
    assert said == (f"{what} no effect: guidance is distilled into this model",)
    assert evaluations(tiny, guidance_scale=6.0) == 2
    assert drawn(tiny, a_request(tiny.family, guidance_scale=1.0)).notices == ()


def test_words_to_be_written_are_counted_where_they_are_read(load: Loader) -> None:
    tiny = load("HunyuanVideo15")
    assert drawn(tiny, a_request(tiny.family, prompt='a sign: "open"')).notices == ()
    long = drawn(tiny, a_request(tiny.family, prompt=f'a sign: "{"open " * 60}"')).notices
    assert long == ("words in quotation marks have 310 tokens; 256 of them are read",)

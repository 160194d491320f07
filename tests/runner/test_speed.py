"""What is used again at a speed above Exact, and that nothing of it stays.

Steps of random weights differ more than a trained model's: where the change decides, a tiny model
is allowed more of it than its family.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from t2v_api.family import ModelFamily
from t2v_api.progress import Progress
from t2v_api.speed import LEAST_STEPS, Speed
from t2v_api.start import Start
from t2v_runner.denoise import denoise, denoisers
from t2v_runner.errors import Stopped
from t2v_runner.families import adapter_of
from t2v_runner.families.step_cache import FirstBlock, StepCache, TaylorSeer
from t2v_runner.reporter import Reporter
from t2v_runner.speed import cache_of
from t2v_runner.stop import StopSignal

from tests.runner.drawing import Frames, Tiny, a_request, asked, check_frames, drawn
from tests.runner.tiny_variants import STARTS, TINY_MODELS, changed

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast", "ignore:CPU Autocast")

LAYERS = {"num_layers": 3, "num_single_layers": 2}
CACHED = tuple(family for family in ModelFamily if family.traits.has_cache)
NAMES = (
    *(family.value for family in CACHED),
    "Wan 2.2 A14B",
    "Wan 2.2 TI2V-5B",
    "Wan 2.1 I2V",
    "CogVideoX I2V",
    "LTX 0.9.7",
    "LTX for images",
    "LTX-2 with conditions",
    "HunyuanVideo-1.5 distilled",
    "HunyuanVideo-1.5 I2V",
    "HunyuanVideo-1.5 I2V in few steps",
)
EVERY_START = [(name, start, Speed.FAST) for name in NAMES for start in STARTS[name]]
EVERY_FAMILY = [(each.value, STARTS[each.value][0], Speed.BALANCED) for each in CACHED]
TOO_MUCH = FirstBlock(10.0)
"""What changed is never enough: after the first step the first block alone is asked."""


class Adapted:
    """A family's adapter that allows more change."""

    def __init__(self, family: ModelFamily) -> None:
        self._real = adapter_of(family)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        found = self._real.caches(pipeline)
        return {s: TOO_MUCH if isinstance(c, FirstBlock) else c for s, c in found.items()}


class Deep(Tiny):
    """A tiny model of several blocks."""

    @property
    def adapter(self) -> Any:
        return Adapted(self.family)


def a_deep(name: str) -> Deep:
    family, build = TINY_MODELS[name]
    torch.manual_seed(0)
    pipeline = build()
    for part in ("transformer", "transformer_2"):
        model = getattr(pipeline, part, None)
        if model is not None:
            layers = {key: count for key, count in LAYERS.items() if key in model.config}
            pipeline.register_modules(**{part: changed(model, **layers)})
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            component.eval()
    pipeline.set_progress_bar_config(disable=True)
    return Deep(family, Path(), pipeline)


@pytest.fixture(scope="module")
def deep() -> Callable[[str], Deep]:
    made: dict[str, Deep] = {}

    def load(name: str) -> Deep:
        if name not in made:
            made[name] = a_deep(name)
        return made[name]

    return load


@contextlib.contextmanager
def counted(tiny: Tiny) -> Iterator[list[int]]:
    """How many layers of each denoiser's blocks were asked."""
    counts = [0 for _ in denoisers(tiny.pipeline)]

    def counter(number: int) -> Callable[..., None]:
        def count(*_: object) -> None:
            counts[number] += 1

        return count

    with ExitStack() as hooks:
        for number, denoiser in enumerate(denoisers(tiny.pipeline)):
            for layer, module in denoiser.named_modules():
                if layer.startswith(("blocks.", "transformer_blocks.")):
                    hook = module.register_forward_pre_hook(counter(number))
                    hooks.callback(hook.remove)
        yield counts


def layers_asked(tiny: Tiny, *request: Any) -> tuple[list[int], Frames]:
    with counted(tiny) as counts:
        frames = drawn(tiny, *request).frames
    return counts, frames


@pytest.mark.parametrize(("name", "start", "speed"), EVERY_START + EVERY_FAMILY, ids=str)
def test_a_faster_request_asks_less_of_the_model_and_leaves_the_next_one_exact(
    deep: Callable[[str], Deep], name: str, start: Start, speed: Speed
) -> None:
    tiny = deep(name)
    steps = 2 * LEAST_STEPS if start is Start.VIDEO else LEAST_STEPS
    exact, init_frames = asked(tiny.family, start, num_inference_steps=steps)
    faster = exact.model_copy(update={"speed": speed})
    before, first = layers_asked(tiny, exact, init_frames)
    less, frames = layers_asked(tiny, faster, init_frames)
    after, last = layers_asked(tiny, exact, init_frames)
    assert sum(less) < sum(before)
    check_frames(frames, faster)
    assert frames.tobytes() != first.tobytes()
    assert after == before
    assert last.tobytes() == first.tobytes()
    again = drawn(tiny, faster, init_frames).frames
    assert again.tobytes() == frames.tobytes()


def test_each_of_two_experts_has_a_cache(deep: Callable[[str], Deep]) -> None:
    tiny = deep("Wan 2.2 A14B")
    exact = a_request(tiny.family, num_inference_steps=2 * LEAST_STEPS)
    before, _ = layers_asked(tiny, exact)
    less, _ = layers_asked(tiny, exact.model_copy(update={"speed": Speed.FAST}))
    assert len(before) == 2
    assert all(0 < few < many for few, many in zip(less, before, strict=True))


@pytest.mark.parametrize("name", ["Wan 2.2 A14B", "LTX2"])
def test_a_stopped_request_leaves_no_cache_behind(deep: Callable[[str], Deep], name: str) -> None:
    tiny = deep(name)
    exact = a_request(tiny.family, num_inference_steps=LEAST_STEPS)
    expected = drawn(tiny, exact).frames

    def tell(progress: Progress) -> None:
        if progress.step and progress.step > 4:
            raise Stopped("in the middle")

    faster = exact.model_copy(update={"speed": Speed.FAST})
    with pytest.raises(Stopped):
        denoise(tiny.pipeline, tiny.adapter, faster, None, Reporter(tell, StopSignal()))
    assert not any(denoiser.is_cache_enabled for denoiser in denoisers(tiny.pipeline))
    assert drawn(tiny, exact).frames.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["Wan 2.2 A14B", "LTX2"])
def test_blocks_that_travel_are_used_again_as_well(deep: Callable[[str], Deep], name: str) -> None:
    tiny, moved = deep(name), a_deep(name)
    for denoiser in denoisers(moved.pipeline):
        denoiser.enable_group_offload(
            torch.device("cpu"), offload_type="block_level", num_blocks_per_group=1
        )
    exact = a_request(tiny.family, num_inference_steps=LEAST_STEPS)
    for request in (exact, exact.model_copy(update={"speed": Speed.FAST}), exact):
        (layers, frames), (same, again) = (layers_asked(each, request) for each in (tiny, moved))
        assert layers == same
        assert frames.tobytes() == again.tobytes()


@pytest.mark.parametrize("name", ["Wan", "LTX2", "HunyuanVideo15"])
def test_answers_with_and_without_the_prompt_are_kept_apart(
    deep: Callable[[str], Deep], name: str
) -> None:
    """Without a prompt to guide by there is one answer a step: it would do for none of two."""
    tiny = deep(name)

    def layers(scale: float, speed: Speed) -> int:
        request = a_request(
            tiny.family, num_inference_steps=LEAST_STEPS, guidance_scale=scale, speed=speed
        )
        return sum(layers_asked(tiny, request)[0])

    alone, guided = (layers(scale, Speed.FAST) for scale in (1.0, 2.0))
    exactly_alone, exactly_guided = (layers(scale, Speed.EXACT) for scale in (1.0, 2.0))
    assert guided / exactly_guided == pytest.approx(alone / exactly_alone, rel=0.01)


def test_a_threshold_of_nothing_draws_exactly(
    deep: Callable[[str], Deep], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept for the next step does not touch this one."""
    tiny = deep("Wan 2.2 A14B")
    monkeypatch.setattr(Adapted, "caches", lambda *_: {Speed.FAST: FirstBlock(0.0)})
    exact = a_request(tiny.family, num_inference_steps=LEAST_STEPS)
    faster = exact.model_copy(update={"speed": Speed.FAST})
    one, other = drawn(tiny, exact).frames, drawn(tiny, faster).frames
    assert np.array_equal(one, other)


@pytest.mark.parametrize("family", ModelFamily)
def test_a_family_has_the_caches_that_the_contract_says(
    deep: Callable[[str], Deep], family: ModelFamily
) -> None:
    pipeline = deep(family.value).pipeline if family.traits.has_cache else None
    caches = adapter_of(family).caches(pipeline)
    assert set(caches) == ({Speed.BALANCED, Speed.FAST} if family.traits.has_cache else set())
    for speed in caches:
        request = a_request(family, speed=speed)
        assert cache_of(adapter_of(family), pipeline, request) == caches[speed]
    assert cache_of(adapter_of(family), pipeline, a_request(family)) is None


@pytest.mark.parametrize(
    ("layers", "names"),
    [(30, "FirstBlock(0.03), FirstBlock(0.04)"), (40, "FirstBlock(0.04), FirstBlock(0.06)")],
)
def test_a_small_wan_bears_less(layers: int, names: str) -> None:
    family, build = TINY_MODELS["Wan"]
    pipeline = build()
    pipeline.register_modules(transformer=changed(pipeline.transformer, num_layers=layers))
    assert ", ".join(map(str, adapter_of(family).caches(pipeline).values())) == names


@pytest.mark.parametrize(
    ("steps", "whole"),
    [
        pytest.param(50, (11, 45), id="as its authors have it"),
        pytest.param(LEAST_STEPS, (2, 7), id="the fewest"),
    ],
)
def test_the_first_and_last_steps_are_asked_as_a_whole(steps: int, whole: tuple[int, int]) -> None:
    config = TaylorSeer(4).config(steps)
    assert (config.disable_cache_before_step, config.disable_cache_after_step) == whole

"""What each family makes of a request: the call, the notices, and nothing that stays behind."""

import contextlib
import dataclasses
import inspect
from typing import Any

import diffusers
import pytest
import torch
from PIL.Image import Image
from t2v_api.family import ModelFamily
from t2v_api.progress import Progress
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler, usable
from t2v_api.start import Start
from t2v_runner.denoise import denoise, denoisers
from t2v_runner.errors import Stopped
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.drawing import Frames, Loader, Tiny, a_request, a_tiny, asked, drawn
from tests.runner.tiny_models import FRAMES
from tests.runner.tiny_variants import STARTS

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")


NAMES = (
    *(each.value for each in ModelFamily),
    "Wan 2.2 A14B",
    "Wan 2.2 TI2V-5B",
    "Wan 2.1 I2V",
    "Wan 2.1 FLF2V",
    "Wan 2.2 I2V A14B",
    "LTX 0.9.7",
    "LTX-2 with conditions",
    "HunyuanVideo-1.5 I2V",
    "CogVideoX I2V",
)
EVERY_START = pytest.mark.parametrize(
    ("name", "start"),
    [
        pytest.param(name, start, id=f"{name} from {start}")
        for name in NAMES
        for start in STARTS[name]
    ],
)


def in_four_steps(
    family: ModelFamily, start: Start, **changes: Any
) -> tuple[GenerationRequest, Frames | None]:
    return asked(family, start, **{"num_inference_steps": 4} | changes)


class Called(Exception):
    """The pipeline was called."""


def called_with(
    monkeypatch: pytest.MonkeyPatch,
    tiny: Tiny,
    request: GenerationRequest,
    init_frames: Frames | None,
) -> dict[str, Any]:
    """The arguments of the pipeline's call, in a form that can be compared.

    The real call knows them all; it is not made, because Latte could not draw another number of
    frames than it was trained for.
    """
    calls: list[dict[str, Any]] = []
    kind = getattr(diffusers, tiny.adapter.class_name(tiny.pipeline, request))
    real = kind.__call__

    def record(pipeline: Any, **arguments: Any) -> Any:
        calls.append({name: comparable(value) for name, value in arguments.items()})
        calls[-1]["scheduler"] = type(pipeline.scheduler).__name__
        if hasattr(pipeline, "guider"):
            calls[-1]["guider"] = pipeline.guider.guidance_scale
        inspect.signature(real).bind(pipeline, **arguments)
        raise Called

    with monkeypatch.context() as patch, pytest.raises(Called):
        patch.setattr(kind, "__call__", record)
        drawn(tiny, request, init_frames)
    (arguments,) = calls
    return arguments


def comparable(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.initial_seed()
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, Image):
        return value.tobytes()
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if dataclasses.is_dataclass(value):
        return {name: comparable(each) for name, each in vars(value).items()}
    return value


CHANGES: dict[str, Any] = {
    "prompt": "a blue square",
    "negative_prompt": "blurry",
    "width": 96,
    "height": 96,
    "num_frames": 0,  # a family's own: see below
    "fps": 12,
    "scheduler": None,  # likewise
    "num_inference_steps": 5,
    "guidance_scale": 3.0,
    "guidance_scale_2": 3.0,
    "seed": 8,
    "strength": 0.76,
}
NOT_OF_THE_CALL = {"model_id", "init_image", "end_image", "init_video", "speed", "loras"}
"""They say which pipeline it is, what the frames are that it starts from, what answers of its
denoiser are used again (`test_speed`), and what is added to its weights (`test_loras`)."""

FROM_TEXT = {
    "prompt": {"prompt"},
    "negative_prompt": {"negative_prompt"},
    "width": {"width"},
    "height": {"height"},
    "num_frames": {"num_frames"},
    "fps": set(),
    "scheduler": {"scheduler"},
    "num_inference_steps": {"num_inference_steps"},
    "guidance_scale": {"guidance_scale"},
    "guidance_scale_2": set(),
    "seed": {"generator"},
}
OF_A_VIDEO = {"strength": {"strength"}, "num_frames": {"video"}}
SIZE_OF_A_VIDEO = {"width": {"width", "video"}, "height": {"height", "video"}}
LATENTS = {"width": {"width", "latents"}, "height": {"height", "latents"}}
TEXT_CHANGES: dict[str, dict[str, set[str]]] = {
    "LTX": {"fps": {"frame_rate"}},
    "LTX 0.9.7": {"fps": {"frame_rate"}},
    "HunyuanVideo": {"negative_prompt": {"negative_prompt", "true_cfg_scale", "guidance_scale"}},
    "HunyuanVideo15": {"guidance_scale": {"guider"}},
    "HunyuanVideo-1.5 I2V": {"guidance_scale": {"guider"}},
    "LTX2": {"fps": {"frame_rate"}},
    "LTX-2 with conditions": {"fps": {"frame_rate"}},
    "Latte": {"num_frames": {"video_length"}},
    "Wan 2.2 A14B": {"guidance_scale_2": {"guidance_scale_2"}},
    "Wan 2.2 I2V A14B": {"guidance_scale_2": {"guidance_scale_2"}},
}
LTX_VIDEO = LATENTS | {"strength": {"denoise_strength"}, "num_frames": {"num_frames", "latents"}}
LTX2_VIDEO = {
    # How the sigmas are shifted hangs on the size of the latents.
    "width": {"width", "latents", "sigmas"},
    "height": {"height", "latents", "sigmas"},
    "num_frames": {"num_frames", "latents", "sigmas"},
    "num_inference_steps": {"num_inference_steps", "sigmas"},
    "strength": {"sigmas"},
}
WAN_VIDEO = LATENTS | {
    # The noise in the latents is the seed's, and as much as the first step's.
    "seed": {"generator", "latents"},
    "strength": {"latents"},
    "num_inference_steps": {"num_inference_steps", "latents"},
    "num_frames": {"num_frames", "latents"},
}
VIDEO_CHANGES: dict[str, dict[str, set[str]]] = {
    "LTX": LTX_VIDEO,
    "LTX 0.9.7": LTX_VIDEO,
    "LTX2": LTX2_VIDEO,
    "LTX-2 with conditions": LTX2_VIDEO,
    "Wan": WAN_VIDEO,
    "Wan 2.2 A14B": WAN_VIDEO,
    "Wan 2.2 TI2V-5B": WAN_VIDEO,
    "TextToVideoSD": {"width": {"video"}, "height": {"video"}},
}


ONE_IMAGE = {"width": {"width", "image"}, "height": {"height", "image"}}
TWO_IMAGES = {side: {side, "image", "last_image"} for side in ("width", "height")}
CONDITIONS = {side: {side, "conditions"} for side in ("width", "height")}
ITS_SIZE = {side: {"image"} for side in ("width", "height")}
WITH_A_PLACE = CONDITIONS | {"num_frames": {"num_frames", "conditions"}}
LTX2, LTX2_FRAMES = ("LTX2", "LTX-2 with conditions"), ModelFamily.LTX2.traits.frames_given
FRAMES_GIVEN: dict[tuple[str, Start], dict[str, set[str]]] = {
    ("LTX", Start.LAST_FRAME): WITH_A_PLACE,
    ("LTX", Start.BOTH_FRAMES): WITH_A_PLACE,
    ("LTX 0.9.7", Start.FIRST_FRAME): CONDITIONS,
    ("LTX 0.9.7", Start.LAST_FRAME): WITH_A_PLACE,
    ("LTX 0.9.7", Start.BOTH_FRAMES): WITH_A_PLACE,
    **{(name, start): CONDITIONS for name in LTX2 for start in LTX2_FRAMES},
    ("HunyuanVideo-1.5 I2V", Start.FIRST_FRAME): ITS_SIZE,
    ("Wan 2.1 FLF2V", Start.BOTH_FRAMES): TWO_IMAGES,
    ("Wan 2.2 I2V A14B", Start.BOTH_FRAMES): TWO_IMAGES,
}


def arguments_of(field: str, name: str, start: Start) -> set[str] | None:
    """The call's arguments that the field goes into; None where there is no such field."""
    if name == "CogVideoX I2V" and field in ("width", "height"):
        return None  # it has but one size
    routes = FROM_TEXT | TEXT_CHANGES.get(name, {})
    if start is Start.VIDEO:
        routes |= OF_A_VIDEO | SIZE_OF_A_VIDEO | VIDEO_CHANGES.get(name, {})
    elif start is not Start.TEXT:
        routes |= FRAMES_GIVEN.get((name, start), ONE_IMAGE)
    return routes.get(field)


@EVERY_START
def test_each_field_reaches_the_pipeline_by_the_name_that_it_knows(
    monkeypatch: pytest.MonkeyPatch, load: Loader, name: str, start: Start
) -> None:
    tiny = load(name)
    base, init_frames = in_four_steps(tiny.family, start)
    others = [each for each in usable(tiny.family, start) if each is not base.scheduler]
    own = {
        "num_frames": FRAMES[tiny.family] + tiny.family.traits.grid.frames,
        "scheduler": others[0] if others else None,
    }
    before = called_with(monkeypatch, tiny, base, init_frames)
    assert set(CHANGES) | NOT_OF_THE_CALL == set(GenerationRequest.model_fields)
    for field, value in (CHANGES | own).items():
        expected = arguments_of(field, name, start)
        if expected is None or value is None:
            continue
        request, frames = in_four_steps(tiny.family, start, **{field: value})
        after = called_with(monkeypatch, tiny, request, frames)
        changed = {key for key in before | after if before.get(key) != after.get(key)}
        if field == "scheduler":
            changed &= {"scheduler"}  # noise in latents is the scheduler's, too
        assert changed == expected, field


@EVERY_START
def test_a_pipeline_serves_again_as_if_it_were_fresh(load: Loader, name: str, start: Start) -> None:
    tiny = load(name)
    request, init_frames = in_four_steps(tiny.family, start, seed=11)
    fresh = drawn(a_tiny(name, tiny.folder), request, init_frames).frames
    for scheduler in usable(tiny.family, start)[-3:]:
        steps = max(4, 15 if scheduler is Scheduler.SCORE_SDE_VE else 0)
        drawn(
            tiny,
            *in_four_steps(
                tiny.family,
                start,
                scheduler=scheduler,
                prompt="other",
                num_inference_steps=steps,
                negative_prompt="dark",
            ),
        )
    drawn(tiny, *asked(tiny.family, STARTS[name][0]))
    assert drawn(tiny, request, init_frames).frames.tobytes() == fresh.tobytes()


@EVERY_START
@pytest.mark.parametrize("is_stopped", [False, True], ids=["drawn", "stopped"])
def test_nothing_of_a_request_stays_on_the_pipeline(
    load: Loader, name: str, start: Start, is_stopped: bool
) -> None:
    tiny = load(name)
    request, init_frames = in_four_steps(tiny.family, start)
    if Scheduler.DDIM_INVERSE in usable(tiny.family, start):
        request = request.model_copy(update={"scheduler": Scheduler.DDIM_INVERSE})
    before = state(tiny.pipeline)

    def tell(progress: Progress) -> None:
        if is_stopped and progress.step:
            raise Stopped("in the middle")

    ending = pytest.raises(Stopped) if is_stopped else contextlib.nullcontext()
    with ending:
        denoise(tiny.pipeline, tiny.adapter, request, init_frames, Reporter(tell, StopSignal()))
    assert state(tiny.pipeline) == before


def state(pipeline: Any) -> dict[str, Any]:
    """What a request may have changed, as far as another one would notice."""
    parts = [each for each in pipeline.components.values() if isinstance(each, torch.nn.Module)]
    return {
        "config": dict(pipeline.config),
        "scheduler": (id(pipeline.scheduler), dict(pipeline.scheduler.config)),
        "methods": [
            name for owner in (pipeline, *parts) for name in vars(owner) if callable_of(owner, name)
        ],
        "hooks": [(len(each._forward_pre_hooks), len(each._forward_hooks)) for each in parts],
        "dtypes": [each.dtype for each in parts],
        "denoisers": [id(each) for each in denoisers(pipeline)],
    }


def callable_of(owner: Any, name: str) -> bool:
    return hasattr(type(owner), name) and callable(vars(owner)[name])


@EVERY_START
def test_what_is_cut_off_a_prompt_is_told_and_nothing_else_is_cut(
    load: Loader, name: str, start: Start
) -> None:
    tiny = load(name)
    most, fits = longest(tiny, start)

    def result(words: int, last: str) -> tuple[tuple[str, ...], bytes]:
        prompt = " ".join(["a"] * (words - 1) + [last])
        found = drawn(tiny, *asked(tiny.family, start, prompt=prompt))
        return found.notices, found.frames.tobytes()

    one, other = result(fits, "b"), result(fits, "c")
    assert one[0] == other[0] == ()
    assert one[1] != other[1]
    one, other = result(fits + 2, "b"), result(fits + 2, "c")
    assert one == other
    (notice,) = one[0]
    count = tiny.adapter.count_tokens(tiny.pipeline, " ".join(["a"] * (fits + 2)))
    assert notice == f"prompt has {count} tokens; this model reads the first {most}"
    assert count > most


def longest(tiny: Tiny, start: Start) -> tuple[int, int]:
    """How many tokens it reads, and how many one-letter words fit into them."""
    request, _ = asked(tiny.family, start)
    kind = getattr(diffusers, tiny.adapter.class_name(tiny.pipeline, request))
    most = tiny.adapter.prompt_tokens(kind.__new__(kind))
    counts = [tiny.adapter.count_tokens(tiny.pipeline, " ".join(["a"] * n)) for n in range(1, most)]
    return most, sum(count <= most for count in counts)


def test_a_negative_prompt_is_counted_where_it_is_read(load: Loader) -> None:
    tiny, long = load("AnimateDiff"), "a " * 80
    said = drawn(tiny, a_request(tiny.family, negative_prompt=long)).notices
    assert said == ("negativePrompt has 82 tokens; this model reads the first 77",)
    unguided = a_request(tiny.family, negative_prompt=long, guidance_scale=1.0)
    assert drawn(tiny, unguided).notices == ()


def test_hunyuan_video_is_guided_once(monkeypatch: pytest.MonkeyPatch, load: Loader) -> None:
    tiny = load("HunyuanVideo")

    def scales(**changes: Any) -> tuple[Any, Any]:
        request = a_request(tiny.family, guidance_scale=6.0, **changes)
        call = called_with(monkeypatch, tiny, request, None)
        return call["guidance_scale"], call.get("true_cfg_scale", 1.0)

    assert scales() == (6.0, 1.0)
    assert scales(negative_prompt="blurry") == (1.0, 6.0)

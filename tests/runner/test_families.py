"""Each family goes the runner's whole way, on a tiny model with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from t2v_api.family import ModelFamily, Prediction
from t2v_api.progress import Progress, Stage
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler, Support, least_steps, verdict
from t2v_runner.denoise import call_arguments, denoise
from t2v_runner.errors import InitMediaNotSupported, RequestRefused, SchedulerNotSupported
from t2v_runner.model import load_pipeline, locate_model
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.tiny_models import FRAMES, a_profile, save_tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")
"""Mochi asks for what only a GPU has, and goes on without it."""

Frames = NDArray[np.uint8]
Loader = Callable[[ModelFamily, GenerationRequest], Any]

FAMILIES = pytest.mark.parametrize("family", list(ModelFamily), ids=str)
SCHEDULERS = pytest.mark.parametrize("scheduler", list(Scheduler), ids=str)
FROM_VIDEO = pytest.mark.parametrize(
    "family", [each for each in ModelFamily if each.traits.video_to_video], ids=str
)
NOT_FROM_VIDEO = pytest.mark.parametrize(
    "family", [each for each in ModelFamily if not each.traits.video_to_video], ids=str
)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Loader:
    """The way to a pipeline that `generate` goes; each model is saved once."""
    saved: dict[ModelFamily, Path] = {}

    def load(family: ModelFamily, request: GenerationRequest) -> Any:
        if family not in saved:
            saved[family] = tmp_path_factory.mktemp(family.value)
            save_tiny_model(family, saved[family])
        profile = a_profile(family, saved[family])
        folder = locate_model(profile, Path())
        return load_pipeline(folder, profile, request)

    return load


def a_request(family: ModelFamily, **changes: Any) -> GenerationRequest:
    flow = family.traits.prediction is Prediction.FLOW
    values: dict[str, Any] = {
        "model_id": "tiny",
        "prompt": "a red circle moves right",
        "width": 64,
        "height": 64,
        "num_frames": FRAMES[family],
        "fps": 8,
        "scheduler": Scheduler.EULER_DISCRETE if flow else Scheduler.DDIM,
        "num_inference_steps": 2,
        "guidance_scale": 2.0,
        "seed": 7,
    }
    return GenerationRequest(**(values | changes))


def from_video(family: ModelFamily, **changes: Any) -> tuple[GenerationRequest, Frames]:
    request = a_request(family, init_video="file:///any.mp4", strength=0.5, **changes)
    shape = (request.num_frames, request.height, request.width, 3)
    return request, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def draw(
    pipeline: Any, request: GenerationRequest, init_frames: Frames | None = None
) -> tuple[Frames, list[Progress]]:
    told: list[Progress] = []
    frames = denoise(pipeline, request, init_frames, Reporter(told.append, StopSignal()))
    return frames, told


def check_frames(frames: Frames, request: GenerationRequest) -> None:
    assert frames.dtype == np.uint8
    assert frames.shape == (request.num_frames, request.height, request.width, 3)
    assert frames.std() > 0


def check_progress(told: list[Progress], steps: int) -> None:
    denoising = [each for each in told if each.step]
    assert [each.step for each in denoising] == list(range(1, steps + 1))
    assert {each.steps for each in denoising} == {steps}
    stages = list(dict.fromkeys(each.stage for each in told))
    assert stages == [Stage.START, Stage.ENCODE_PROMPT, Stage.DENOISE, Stage.DECODE]


@FAMILIES
def test_a_video_has_the_number_of_frames_and_the_size_that_were_asked_for(
    load: Loader, family: ModelFamily
) -> None:
    request = a_request(family, width=96, negative_prompt="blurry")
    frames, told = draw(load(family, request), request)
    check_frames(frames, request)
    check_progress(told, steps=2)


@FAMILIES
def test_the_same_seed_draws_the_same_frames_and_another_seed_others(
    load: Loader, family: ModelFamily
) -> None:
    request = a_request(family)
    first, again = (draw(load(family, request), request)[0] for _ in range(2))
    assert first.tobytes() == again.tobytes()
    other = request.model_copy(update={"seed": 8})
    assert draw(load(family, other), other)[0].tobytes() != first.tobytes()


@pytest.mark.parametrize(
    "family", [each for each in ModelFamily if each is not ModelFamily.MOCHI], ids=str
)
def test_one_step_is_enough(load: Loader, family: ModelFamily) -> None:
    request = a_request(family, num_inference_steps=1)
    frames, told = draw(load(family, request), request)
    check_frames(frames, request)
    check_progress(told, steps=1)


def test_mochi_says_that_it_needs_two_steps(load: Loader) -> None:
    request = a_request(ModelFamily.MOCHI, num_inference_steps=1)
    with pytest.raises(RequestRefused, match="needs at least 2"):
        draw(load(ModelFamily.MOCHI, request), request)


def test_a_number_of_frames_that_the_model_cannot_draw_is_refused(load: Loader) -> None:
    request = a_request(ModelFamily.COGVIDEOX, num_frames=5)
    with pytest.raises(RequestRefused, match="asked for 5 frames of 64x64, the model draws 8"):
        draw(load(ModelFamily.COGVIDEOX, request), request)


@FAMILIES
def test_no_guidance_is_a_request_like_any_other(load: Loader, family: ModelFamily) -> None:
    request = a_request(family, guidance_scale=1.0)
    check_frames(draw(load(family, request), request)[0], request)


@FAMILIES
def test_the_number_of_frames_is_passed_by_the_name_that_the_pipeline_knows(
    load: Loader, family: ModelFamily
) -> None:
    request = a_request(family)
    arguments = call_arguments(load(family, request), request, None)
    name = "video_length" if family is ModelFamily.LATTE else "num_frames"
    names = {"video_length", "num_frames"} & set(arguments)
    assert names == {name}
    assert arguments[name] == request.num_frames


@FROM_VIDEO
def test_a_video_can_be_the_start(load: Loader, family: ModelFamily) -> None:
    request, init_frames = from_video(family, num_inference_steps=4)
    frames, told = draw(load(family, request), request, init_frames)
    check_frames(frames, request)
    check_progress(told, steps=2)


@FROM_VIDEO
def test_what_the_init_video_shows_matters(load: Loader, family: ModelFamily) -> None:
    request, init_frames = from_video(family)
    first, _ = draw(load(family, request), request, init_frames)
    other, _ = draw(load(family, request), request, 255 - init_frames)
    assert first.tobytes() != other.tobytes()


@FROM_VIDEO
def test_a_strength_below_one_step_still_takes_a_step(load: Loader, family: ModelFamily) -> None:
    request, init_frames = from_video(family)
    request = request.model_copy(update={"strength": 0.01})
    frames, told = draw(load(family, request), request, init_frames)
    check_frames(frames, request)
    check_progress(told, steps=1)


@FROM_VIDEO
def test_a_video_can_be_the_start_of_a_single_step(load: Loader, family: ModelFamily) -> None:
    request, init_frames = from_video(family, num_inference_steps=1)
    frames, told = draw(load(family, request), request, init_frames)
    check_frames(frames, request)
    check_progress(told, steps=1)


def test_ltx_from_a_video_says_which_scheduler_it_needs(load: Loader) -> None:
    request, _ = from_video(ModelFamily.LTX, scheduler=Scheduler.UNIPC_MULTISTEP)
    with pytest.raises(
        SchedulerNotSupported, match="start from a video; choose one of EulerDiscreteScheduler"
    ):
        load(ModelFamily.LTX, request)


@NOT_FROM_VIDEO
def test_a_family_that_cannot_start_from_a_video_says_so(load: Loader, family: ModelFamily) -> None:
    request, _ = from_video(family)
    with pytest.raises(InitMediaNotSupported, match="takes no init image or video"):
        load(family, request)


@FAMILIES
@SCHEDULERS
def test_a_family_draws_with_what_the_verdict_allows_and_refuses_the_rest(
    load: Loader, family: ModelFamily, scheduler: Scheduler
) -> None:
    request = with_scheduler(a_request(family), scheduler)
    decision = verdict(family, scheduler)
    if decision.support is Support.REPLACED:
        with pytest.raises(SchedulerNotSupported, match="that start from noise; choose one of"):
            load(family, request)
        return
    pipeline = load(family, request)
    assert type(pipeline.scheduler).__name__ == decision.class_name
    frames, told = draw(pipeline, request)
    check_frames(frames, request)
    check_progress(told, evaluations(scheduler, request.num_inference_steps))


@FROM_VIDEO
@SCHEDULERS
def test_the_same_from_a_video(load: Loader, family: ModelFamily, scheduler: Scheduler) -> None:
    request, init_frames = from_video(family, num_inference_steps=4)
    request = with_scheduler(request, scheduler)
    if verdict(family, scheduler, from_video=True).support is Support.REPLACED:
        with pytest.raises(SchedulerNotSupported, match="that start from a video; choose one of"):
            load(family, request)
        return
    frames, told = draw(load(family, request), request, init_frames)
    check_frames(frames, request)
    check_progress(told, evaluations(scheduler, request.num_inference_steps // 2))


def with_scheduler(request: GenerationRequest, scheduler: Scheduler) -> GenerationRequest:
    """The request with as few steps as its family and `scheduler` allow."""
    steps = max(request.num_inference_steps, least_steps(ModelFamily.LATTE, scheduler))
    return request.model_copy(update={"scheduler": scheduler, "num_inference_steps": steps})


def evaluations(scheduler: Scheduler, steps: int) -> int:
    """How often the model is asked in `steps` steps."""
    match scheduler:
        case Scheduler.PNDM:
            return steps + 1
        case Scheduler.DDIM_INVERSE | Scheduler.SCORE_SDE_VE:
            return 2 * steps
        case (
            Scheduler.HEUN_DISCRETE
            | Scheduler.KDPM2_DISCRETE
            | Scheduler.KDPM2_ANCESTRAL_DISCRETE
            | Scheduler.KARRAS_VE
        ):
            return 2 * steps - 1
    return steps

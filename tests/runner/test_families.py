"""Each family goes the runner's whole way, on a tiny model with random weights."""

from pathlib import Path

import pytest
from t2v_api.family import ModelFamily
from t2v_api.progress import Progress
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler, Support, least_steps, verdict
from t2v_api.start import Start
from t2v_runner.errors import InitMediaNotSupported, RequestRefused, SchedulerNotSupported
from t2v_runner.model import check_request

from tests.runner.drawing import (
    Loader,
    a_request,
    check_frames,
    check_progress,
    draw,
    drawn,
    from_video,
)
from tests.runner.tiny_models import a_profile

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")
"""Mochi asks for what only a GPU has, and goes on without it."""


FAMILIES = pytest.mark.parametrize("family", list(ModelFamily), ids=str)
SCHEDULERS = pytest.mark.parametrize("scheduler", list(Scheduler), ids=str)
FROM_VIDEO = pytest.mark.parametrize(
    "family", [each for each in ModelFamily if each.traits.video_to_video], ids=str
)
NOT_FROM_VIDEO = pytest.mark.parametrize(
    "family", [each for each in ModelFamily if not each.traits.video_to_video], ids=str
)


def check(family: ModelFamily, request: GenerationRequest) -> None:
    check_request(a_profile(family, Path("anywhere")), request)


@FAMILIES
def test_a_video_has_the_number_of_frames_and_the_size_that_were_asked_for(
    load: Loader, family: ModelFamily
) -> None:
    request = a_request(family, width=96, negative_prompt="blurry")
    frames, told = draw(load(family), request)
    check_frames(frames, request)
    check_progress(told, steps=2)


@FAMILIES
def test_the_same_seed_draws_the_same_frames_and_another_seed_others(
    load: Loader, family: ModelFamily
) -> None:
    request = a_request(family)
    first, again = (draw(load(family), request)[0] for _ in range(2))
    assert first.tobytes() == again.tobytes()
    other = request.model_copy(update={"seed": 8})
    assert draw(load(family), other)[0].tobytes() != first.tobytes()


@pytest.mark.parametrize(
    "family", [each for each in ModelFamily if each is not ModelFamily.MOCHI], ids=str
)
def test_one_step_is_enough(load: Loader, family: ModelFamily) -> None:
    request = a_request(family, num_inference_steps=1)
    frames, told = draw(load(family), request)
    check_frames(frames, request)
    check_progress(told, steps=1)


def test_mochi_says_that_it_needs_two_steps() -> None:
    request = a_request(ModelFamily.MOCHI, num_inference_steps=1)
    with pytest.raises(RequestRefused, match="needs at least 2"):
        check(ModelFamily.MOCHI, request)


def test_a_number_of_frames_that_the_model_cannot_draw_is_refused(load: Loader) -> None:
    request = a_request(ModelFamily.COGVIDEOX, num_frames=5)
    with pytest.raises(RequestRefused, match="asked for 5 frames of 64x64, the model draws 8"):
        draw(load(ModelFamily.COGVIDEOX), request)


@FAMILIES
def test_no_guidance_is_a_request_like_any_other(load: Loader, family: ModelFamily) -> None:
    request = a_request(family, guidance_scale=1.0)
    check_frames(draw(load(family), request)[0], request)


@FROM_VIDEO
def test_a_video_can_be_the_start(load: Loader, family: ModelFamily) -> None:
    request, init_frames = from_video(family, num_inference_steps=4)
    frames, told = draw(load(family), request, init_frames)
    check_frames(frames, request)
    check_progress(told, steps=2)


@FROM_VIDEO
def test_what_the_init_video_shows_matters(load: Loader, family: ModelFamily) -> None:
    request, init_frames = from_video(family)
    first, _ = draw(load(family), request, init_frames)
    other, _ = draw(load(family), request, 255 - init_frames)
    assert first.tobytes() != other.tobytes()


@FROM_VIDEO
def test_a_strength_below_one_step_still_takes_a_step(load: Loader, family: ModelFamily) -> None:
    request, init_frames = from_video(family)
    request = request.model_copy(update={"strength": 0.01})
    frames, told = draw(load(family), request, init_frames)
    check_frames(frames, request)
    check_progress(told, steps=1)


@FROM_VIDEO
def test_a_video_can_be_the_start_of_a_single_step(load: Loader, family: ModelFamily) -> None:
    request, init_frames = from_video(family, num_inference_steps=1)
    frames, told = draw(load(family), request, init_frames)
    check_frames(frames, request)
    check_progress(told, steps=1)


def test_ltx_from_a_video_says_which_scheduler_it_needs() -> None:
    request, _ = from_video(ModelFamily.LTX, scheduler=Scheduler.UNIPC_MULTISTEP)
    said = "start from an init image or video; choose one of EulerDiscreteScheduler"
    with pytest.raises(SchedulerNotSupported, match=said):
        check(ModelFamily.LTX, request)


@NOT_FROM_VIDEO
def test_a_family_that_cannot_start_from_a_video_says_so(family: ModelFamily) -> None:
    request, _ = from_video(family)
    with pytest.raises(InitMediaNotSupported, match="cannot draw from a noised image or video"):
        check(family, request)


@FAMILIES
@SCHEDULERS
def test_a_family_draws_with_what_the_verdict_allows_and_refuses_the_rest(
    load: Loader, family: ModelFamily, scheduler: Scheduler
) -> None:
    request = with_scheduler(a_request(family), scheduler)
    decision = verdict(family, scheduler)
    if decision.support is Support.REPLACED:
        with pytest.raises(SchedulerNotSupported, match="that start from noise; choose one of"):
            check(family, request)
        return
    told: list[Progress] = []
    result = drawn(load(family), request, told=told)
    assert result.scheduler_class == decision.class_name
    check_frames(result.frames, request)
    check_progress(told, evaluations(scheduler, request.num_inference_steps))


@FROM_VIDEO
@SCHEDULERS
def test_the_same_from_a_video(load: Loader, family: ModelFamily, scheduler: Scheduler) -> None:
    request, init_frames = from_video(family, num_inference_steps=4)
    request = with_scheduler(request, scheduler)
    if verdict(family, scheduler, Start.VIDEO).support is Support.REPLACED:
        said = "that start from an init image or video; choose one of"
        with pytest.raises(SchedulerNotSupported, match=said):
            check(family, request)
        return
    frames, told = draw(load(family), request, init_frames)
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

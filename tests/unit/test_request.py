"""What is decided for a user who left values open."""

from typing import Any

import pytest
from t2v_api.family import ModelFamily, Prediction
from t2v_api.reasons import Reason
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_operator.core.enhance import QUALITY_TERMS
from t2v_operator.core.request import resolve
from t2v_operator.errors import RequestRefused

from tests.unit.builders import a_config, a_job, a_resource

MEDIA = {"initVideo": "https://example.com/a.mp4"}
WAN = {"family": "Wan", "limits": {"maxFrames": 121}}


def test_the_model_fills_in_what_the_user_left_open() -> None:
    request = a_job().request
    assert (request.width, request.num_frames, request.fps) == (64, 16, 8)
    assert request.scheduler is Scheduler.DDIM


def test_what_the_user_says_wins() -> None:
    request = a_job(width=128, scheduler="PNDMScheduler", seed=0, guidanceScale=1.0).request
    assert (request.width, request.scheduler, request.seed) == (128, Scheduler.PNDM, 0)
    assert request.guidance_scale == 1.0


@pytest.mark.parametrize("steps", [4, 8])
@pytest.mark.parametrize("family", ModelFamily)
def test_a_distilled_model_is_a_profile_of_few_steps_without_guidance(
    family: ModelFamily, steps: int
) -> None:
    schedulers = {Prediction.FLOW: Scheduler.EULER_DISCRETE, Prediction.NOISE: Scheduler.DDIM}
    grid = family.traits.grid
    defaults = a_config().models[0].defaults.document() | {
        "numFrames": 2 * grid.frames + grid.offset,
        "numInferenceSteps": steps,
        "guidanceScale": 1.0,
        "scheduler": schedulers[family.traits.prediction],
    }
    job = a_job(a_config(family=family, defaults=defaults))
    assert (job.request.num_inference_steps, job.request.guidance_scale) == (steps, 1.0)
    assert job.notices == ()


def test_a_null_seed_is_drawn_once_for_a_resource() -> None:
    seed = a_job(uid="one").request.seed
    assert a_job(uid="one").request.seed == seed
    assert a_job(uid="two").request.seed != seed
    assert a_job(uid="one", trackId="t").request.seed == seed


def test_strength_has_a_default_only_with_init_media() -> None:
    assert a_job().request.strength is None
    assert a_job(**MEDIA).request.strength == 0.7


def test_the_resolved_request_survives_json_and_keeps_its_digest() -> None:
    request = a_job(**MEDIA, seed=3, prompt='"\n🔴').request
    again = GenerationRequest.parse_json(request.json_line())
    assert again == request
    assert again.digest("r1") == request.digest("r1")


def test_rules_enhance_the_prompt_once_and_only_when_asked() -> None:
    config = a_config(promptEnhancement="Rules")
    enhanced = a_job(config, prompt="a cat, sharp focus").request.prompt
    assert enhanced.startswith("a cat, sharp focus, ")
    assert all(enhanced.count(term) == 1 for term in QUALITY_TERMS)
    assert a_job(config, prompt=enhanced).request.prompt == enhanced
    assert a_job(config, prompt="a cat", enhancePrompt=False).request.prompt == "a cat"
    assert a_job(prompt="a cat").request.prompt == "a cat"


@pytest.mark.parametrize(
    ("model", "spec", "reason", "message"),
    [
        pytest.param(
            {},
            {"modelId": "tiny-shape"},
            Reason.MODEL_NOT_FOUND,
            "did you mean 'tiny-shapes'? (known: tiny-shapes)",
            id="unknown model",
        ),
        pytest.param({}, {"width": 520}, Reason.INVALID_REQUEST, "at most 512", id="too wide"),
        pytest.param({}, {"numFrames": 33}, Reason.INVALID_REQUEST, "at most 32", id="too long"),
        pytest.param(
            WAN,
            {"numFrames": 82},
            Reason.INVALID_REQUEST,
            "numFrames is 82; this model needs 4n+1, try 81",
            id="frames not 4n+1",
        ),
        pytest.param(
            WAN,
            {"numFrames": 81, "height": 72},
            Reason.INVALID_REQUEST,
            "height is 72; this model needs a multiple of 16, try 64",
            id="height not a multiple",
        ),
        pytest.param(
            {"family": "Wan", "limits": {"maxFrames": 121, "sizeMultiple": 32}},
            {"width": 80},
            Reason.INVALID_REQUEST,
            "width is 80; this model needs a multiple of 32, try 64",
            id="a model that is narrower than its family",
        ),
        pytest.param(
            {"limits": {"maxFrames": 32, "maxInferenceSteps": 100}},
            {"numInferenceSteps": 101},
            Reason.INVALID_REQUEST,
            "numInferenceSteps is 101; this model takes at most 100",
            id="too many steps",
        ),
        pytest.param(
            {},
            {"scheduler": "DDIMInverseScheduler", "schedulerPolicy": "Strict"},
            Reason.SCHEDULER_NOT_SUPPORTED,
            "DDIMInverseScheduler cannot be used with model tiny-shapes (AnimateDiff) from noise; "
            "choose one of DDPMScheduler, DDIMScheduler, ",
            id="scheduler",
        ),
        pytest.param(
            {},
            {
                "scheduler": "KarrasVeScheduler",
                "numInferenceSteps": 9,
                "schedulerPolicy": "Strict",
            },
            Reason.INVALID_REQUEST,
            "numInferenceSteps is 9; KarrasVeScheduler with model tiny-shapes (AnimateDiff) "
            "needs at least 10",
            id="too few steps",
        ),
        pytest.param(
            {"family": "Mochi"},
            MEDIA,
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "takes no init image or video",
            id="init media",
        ),
        pytest.param(
            {}, {"pool": "defalt"}, Reason.INVALID_REQUEST, "did you mean 'default'?", id="pool"
        ),
    ],
)
def test_what_no_video_can_be_made_of_is_refused(
    model: dict[str, Any], spec: dict[str, Any], reason: Reason, message: str
) -> None:
    replaced = {name: value for name, value in model.items() if value is not None}
    with pytest.raises(RequestRefused) as refusal:
        resolve(a_resource(**spec), a_config(**replaced))
    assert refusal.value.reason is reason
    assert message in refusal.value.message


@pytest.mark.parametrize(
    ("model", "spec", "scheduler", "steps", "notice"),
    [
        pytest.param(
            {"family": "Wan"},
            {"scheduler": "DDPMScheduler"},
            Scheduler.EULER_ANCESTRAL_DISCRETE,
            25,
            "scheduler DDPMScheduler cannot be used with model tiny-shapes (Wan) from noise; "
            "EulerAncestralDiscreteScheduler is used instead",
            id="a replaced scheduler",
        ),
        pytest.param(
            {"family": "LTX"},
            {"scheduler": "UniPCMultistepScheduler", **MEDIA},
            Scheduler.EULER_DISCRETE,
            25,
            "from an init image or video; EulerDiscreteScheduler is used instead",
            id="replaced only from a video",
        ),
        pytest.param(
            {},
            {"scheduler": "DDIMInverseScheduler", "strength": 1.0, **MEDIA},
            Scheduler.DDIM,
            25,
            "from noise; DDIMScheduler is used instead",
            id="nothing to invert at full strength",
        ),
        pytest.param(
            {},
            {"scheduler": "ScoreSdeVeScheduler", "numInferenceSteps": 4},
            Scheduler.SCORE_SDE_VE,
            15,
            "numInferenceSteps is 4; ScoreSdeVeScheduler with model tiny-shapes (AnimateDiff) "
            "needs at least 15, which is used",
            id="too few steps",
        ),
        pytest.param(
            {},
            {"scheduler": "LCMScheduler"},
            Scheduler.LCM,
            25,
            "LCMScheduler is experimental with model tiny-shapes (AnimateDiff)",
            id="experimental",
        ),
    ],
)
def test_nearest_takes_what_works_and_says_so(
    model: dict[str, Any], spec: dict[str, Any], scheduler: Scheduler, steps: int, notice: str
) -> None:
    job = a_job(a_config(**model), **spec)
    assert (job.request.scheduler, job.request.num_inference_steps) == (scheduler, steps)
    (said,) = job.notices
    assert notice in said


def test_two_changes_are_two_notices() -> None:
    job = a_job(a_config(family="Mochi"), scheduler="DDIMScheduler", numInferenceSteps=1)
    assert job.request.num_inference_steps == 2
    assert len(job.notices) == 2


@pytest.mark.parametrize(
    ("family", "spec", "notice"),
    [
        pytest.param(
            "AnimateDiff",
            {"negativePrompt": "blurry", "guidanceScale": 1.0},
            "negativePrompt has no effect with guidanceScale 1",
            id="a negative prompt without guidance",
        ),
        pytest.param(
            "AnimateDiff",
            {"fps": 24},
            "fps is 24; AnimateDiff models draw the same frames for every fps, only played faster "
            "or slower (this model's own is 8)",
            id="another frame rate",
        ),
        pytest.param(
            "LTX",
            {"scheduler": "EulerDiscreteScheduler", "fps": 24, "negativePrompt": "blurry"},
            None,
            id="a family that takes both",
        ),
        pytest.param("AnimateDiff", {"fps": 24, **MEDIA}, None, id="a video is read at that rate"),
    ],
)
def test_what_changes_no_picture_is_told(
    family: str, spec: dict[str, Any], notice: str | None
) -> None:
    assert a_job(a_config(family=family), **spec).notices == ((notice,) if notice else ())


@pytest.mark.parametrize(
    ("spec", "scales"),
    [
        pytest.param({}, (4.0, 3.0), id="the model's own two"),
        pytest.param({"guidanceScale": 5.0}, (5.0, None), id="the user's for both experts"),
    ],
)
def test_the_second_expert_follows_what_the_user_asks_for(
    spec: dict[str, Any], scales: tuple[float, float | None]
) -> None:
    defaults = a_config(family="Wan").models[0].defaults.document()
    defaults |= {"guidanceScale": 4.0, "guidanceScale2": 3.0}
    request = a_job(a_config(family="Wan", defaults=defaults), **spec).request
    assert (request.guidance_scale, request.guidance_scale_2) == scales


@pytest.mark.parametrize("spec", [{}, {"scheduler": "DDIMInverseScheduler", **MEDIA}], ids=str)
def test_what_is_done_as_asked_needs_no_notice(spec: dict[str, Any]) -> None:
    job = a_job(schedulerPolicy="Strict", **spec)
    assert job.notices == ()
    assert job.request.scheduler == spec.get("scheduler", "DDIMScheduler")

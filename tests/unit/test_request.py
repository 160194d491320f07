"""What is decided for a user who left values open."""

from typing import Any

import pytest
from t2v_api.family import ModelFamily, Prediction
from t2v_api.reasons import Reason
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.start import Start
from t2v_operator.core.enhance import QUALITY_TERMS
from t2v_operator.core.prompt_tokens import most_tokens
from t2v_operator.core.request import resolve
from t2v_operator.errors import RequestRefused

from tests.unit.builders import a_config, a_config_that_asks, a_job, a_resource

MEDIA = {"initVideo": "https://example.com/a.mp4"}
IMAGE, END = {"initImage": "https://a/b.png"}, {"endImage": "https://a/c.png"}
WAN_I2V = {"family": "Wan", "starts": ["FirstFrame"]}
TI2V = {"family": "Wan", "starts": ["Text", "FirstFrame", "Video"]}
LTX = {"family": "LTX"}
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


NO_EFFECT = ("strength has no effect: the image is the first frame",)


@pytest.mark.parametrize(
    ("model", "spec", "start", "strength", "notices"),
    [
        pytest.param({}, IMAGE, Start.VIDEO, 0.7, (), id="a model that can only restyle it"),
        pytest.param(TI2V, IMAGE, Start.FIRST_FRAME, None, (), id="a model that can go on from it"),
        pytest.param(
            TI2V,
            IMAGE | {"strength": 0.5},
            Start.VIDEO,
            0.5,
            (),
            id="a strength means it",
        ),
        pytest.param(
            TI2V,
            IMAGE | {"strength": 1.0},
            Start.TEXT,
            1.0,
            (),
            id="one that leaves nothing, too",
        ),
        pytest.param(
            TI2V, IMAGE | {"mode": "Restyle"}, Start.VIDEO, 0.7, (), id="restyled on request"
        ),
        pytest.param(
            TI2V,
            IMAGE | {"mode": "FirstFrame", "strength": 0.5},
            Start.FIRST_FRAME,
            None,
            NO_EFFECT,
            id="a first frame on request, whatever the strength",
        ),
        pytest.param(
            WAN_I2V,
            IMAGE | {"strength": 0.5},
            Start.FIRST_FRAME,
            None,
            NO_EFFECT,
            id="a strength for a model that cannot restyle",
        ),
        pytest.param(LTX, IMAGE | END, Start.BOTH_FRAMES, None, (), id="both frames"),
        pytest.param(
            LTX,
            IMAGE | END | {"strength": 0.5},
            Start.BOTH_FRAMES,
            None,
            NO_EFFECT,
            id="a last frame makes the image the first one",
        ),
        pytest.param(LTX, END, Start.LAST_FRAME, None, (), id="the last frame alone"),
        pytest.param(LTX, MEDIA, Start.VIDEO, 0.7, (), id="a video is always restyled"),
    ],
)
def test_what_an_image_is_for_a_model(
    model: dict[str, Any],
    spec: dict[str, Any],
    start: Start,
    strength: float | None,
    notices: tuple[str, ...],
) -> None:
    job = a_job(a_config(**model), scheduler="EulerDiscreteScheduler", **spec)
    assert (job.request.start, job.request.strength) == (start, strength)
    assert job.notices == notices


@pytest.mark.parametrize("spec", [IMAGE, IMAGE | {"strength": 0.5}, IMAGE | END, END], ids=str)
def test_what_was_resolved_asks_for_the_same_again(spec: dict[str, Any]) -> None:
    first = a_job(a_config(**LTX), **spec).request
    names = ("initImage", "endImage", "strength")
    again = {name: value for name, value in first.document().items() if name in names}
    assert a_job(a_config(**LTX), **again).request == first


def test_ltx_is_given_frames_by_the_scheduler_that_knows_their_times() -> None:
    wanted = {"scheduler": "UniPCMultistepScheduler"}
    job = a_job(a_config(**LTX), **IMAGE, **wanted)
    assert job.request.scheduler is Scheduler.EULER_DISCRETE
    (said,) = job.notices
    assert "from frames of the video; EulerDiscreteScheduler is used instead" in said
    assert a_job(a_config(**WAN_I2V), **IMAGE, **wanted).notices == ()


def test_the_resolved_request_survives_json_and_keeps_its_digest() -> None:
    request = a_job(**MEDIA, seed=3, prompt='"\n🔴').request
    again = GenerationRequest.parse_json(request.json_line())
    assert again == request
    assert again.digest("r1") == request.digest("r1")


WORDS = "a red kite over the sea "


@pytest.mark.parametrize(
    ("family", "prompt", "added"),
    [
        pytest.param("AnimateDiff", WORDS, 4, id="short"),
        pytest.param("AnimateDiff", WORDS * 7, 3, id="room for three terms"),
        pytest.param("AnimateDiff", WORDS * 20, 0, id="longer than the encoder reads"),
        pytest.param("LTX", WORDS * 6, 4, id="an encoder that reads more"),
        pytest.param("AnimateDiff", "红" * 24, 0, id="a script that takes three tokens a letter"),
    ],
)
def test_rules_add_only_what_the_text_encoder_has_room_for(
    family: str, prompt: str, added: int
) -> None:
    config = a_config(family=family, promptEnhancement="Rules")
    enhanced = a_job(config, prompt=prompt.strip()).request.prompt
    assert enhanced == ", ".join([prompt.strip(), *QUALITY_TERMS[:added]])


@pytest.mark.parametrize(
    ("prompt", "clip"),
    [
        ("a red circle moves to the right on a black background", 13),
        ("Drone shot of Xochimilco canals at dusk, 35mm film, bokeh, 8k uhd, hyperrealistic", 28),
        ("Ein großer grüner Drache fliegt über schneebedeckte Gebirge", 25),
        ("一只戴着红帽子的猫在雪地里奔跑，电影感镜头", 55),
        ("Кот в шляпе идёт по улице", 31),
        ("1920x1080 at 24fps, f/1.8, ISO 3200", 27),
    ],
)
def test_the_estimate_of_tokens_is_not_below_what_clip_takes(prompt: str, clip: int) -> None:
    assert clip <= most_tokens(prompt) <= 2 * clip


def test_without_anybody_to_ask_the_endpoints_prompt_is_made_by_rules_and_told() -> None:
    job = a_job(a_config_that_asks(), prompt="a cat")
    assert job.request.prompt == ", ".join(["a cat", *QUALITY_TERMS])
    assert job.notices == ("no language model was asked, so the prompt was enhanced by Rules",)
    assert a_job(a_config_that_asks(), prompt="a cat", enhancePrompt=False).notices == ()


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
            "model tiny-shapes (Mochi) cannot draw from a noised image or video ('initVideo', or "
            "'initImage' in mode Restyle); it can draw from the prompt alone",
            id="init media",
        ),
        pytest.param(
            {},
            IMAGE | {"mode": "FirstFrame"},
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "cannot draw on from a first frame ('initImage'); it can draw from the prompt alone; "
            "or from a noised image or video",
            id="a first frame",
        ),
        pytest.param(
            {"family": "Mochi"},
            IMAGE,
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "cannot draw on from a first frame",
            id="an image for a model that takes none",
        ),
        pytest.param(
            WAN_I2V,
            {},
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "model tiny-shapes (Wan) cannot draw from the prompt alone; it can draw on from a "
            "first frame ('initImage')",
            id="no image for a model that needs one",
        ),
        pytest.param(
            WAN_I2V,
            MEDIA,
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "cannot draw from a noised image or video",
            id="a video for a model that is given an image",
        ),
        pytest.param(
            WAN_I2V,
            IMAGE | {"mode": "Restyle"},
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "cannot draw from a noised image or video",
            id="an image to restyle for a model that cannot",
        ),
        pytest.param(
            WAN_I2V,
            IMAGE | END,
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "cannot draw between two frames ('initImage' and 'endImage'); it can draw on from a",
            id="a last frame for a model that takes none",
        ),
        pytest.param(
            {"family": "Wan", "starts": ["BothFrames"]},
            IMAGE,
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "it can draw between two frames ('initImage' and 'endImage')",
            id="one frame for a model that needs both",
        ),
        pytest.param(
            {"family": "Wan", "starts": ["FirstFrame", "BothFrames"]},
            END,
            Reason.INIT_MEDIA_NOT_SUPPORTED,
            "cannot draw up to a last frame ('endImage' alone)",
            id="a last frame alone",
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

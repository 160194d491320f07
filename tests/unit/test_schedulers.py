"""What each family makes of each scheduler, as data."""

from pathlib import Path

import pytest
from t2v_api.family import ModelFamily, Prediction
from t2v_api.schedulers import Scheduler, Support, least_steps, usable, verdict
from t2v_api.start import Start

from benchmarks.schedulers import verdict_table

LIKE = {ModelFamily.LTX: Start.VIDEO, ModelFamily.LTX2: Start.FIRST_FRAME}
STARTS = pytest.mark.parametrize("start", Start)


def test_the_endpoint_names_eighteen() -> None:
    assert len(Scheduler) == 18


@STARTS
@pytest.mark.parametrize("scheduler", Scheduler)
@pytest.mark.parametrize("family", ModelFamily)
def test_what_runs_instead_is_itself_usable_and_not_experimental(
    family: ModelFamily, scheduler: Scheduler, start: Start
) -> None:
    decision = verdict(family, scheduler, start)
    again = verdict(family, decision.scheduler, start)
    assert again.support is not Support.REPLACED
    assert again.class_name == decision.class_name
    if decision.support is Support.REPLACED:
        assert decision.scheduler is not scheduler
        assert again.support is not Support.EXPERIMENTAL
    else:
        assert decision.scheduler is scheduler
        assert scheduler in usable(family, start)


@pytest.mark.parametrize("scheduler", Scheduler)
def test_a_noise_predicting_model_uses_all_but_one_from_noise(scheduler: Scheduler) -> None:
    for family in (ModelFamily.ANIMATEDIFF, ModelFamily.LATTE, ModelFamily.TEXT_TO_VIDEO_SD):
        replaced = verdict(family, scheduler).support is Support.REPLACED
        assert replaced == (scheduler is Scheduler.DDIM_INVERSE)


def test_a_noise_predicting_model_uses_all_eighteen_from_a_video() -> None:
    assert usable(ModelFamily.ANIMATEDIFF, Start.VIDEO) == tuple(Scheduler)


@STARTS
@pytest.mark.parametrize("scheduler", Scheduler)
def test_a_flow_model_never_gets_a_class_that_knows_only_betas(
    scheduler: Scheduler, start: Start
) -> None:
    for family in ModelFamily:
        if family.traits.prediction is Prediction.FLOW:
            decision = verdict(family, scheduler, start)
            assert decision.support is not Support.EXACT
            assert not decision.class_name.startswith(("DDIM", "DDPM", "AdaptedPNDM"))


@pytest.mark.parametrize(
    ("family", "scheduler", "runs"),
    [
        (ModelFamily.ANIMATEDIFF, Scheduler.DDIM_INVERSE, Scheduler.DDIM),
        (ModelFamily.COGVIDEOX, Scheduler.HEUN_DISCRETE, Scheduler.KDPM2_DISCRETE),
        (ModelFamily.COGVIDEOX, Scheduler.PNDM, Scheduler.UNIPC_MULTISTEP),
        (ModelFamily.WAN, Scheduler.DDIM, Scheduler.EULER_DISCRETE),
        (ModelFamily.WAN, Scheduler.KDPM2_DISCRETE, Scheduler.HEUN_DISCRETE),
        (ModelFamily.WAN, Scheduler.PNDM, Scheduler.UNIPC_MULTISTEP),
        (ModelFamily.LTX, Scheduler.HEUN_DISCRETE, Scheduler.UNIPC_MULTISTEP),
        (ModelFamily.HUNYUAN_VIDEO, Scheduler.SCORE_SDE_VE, Scheduler.EULER_ANCESTRAL_DISCRETE),
        (ModelFamily.MOCHI, Scheduler.LCM, Scheduler.EULER_DISCRETE),
    ],
)
def test_the_nearest_is_a_sampler_of_the_same_kind(
    family: ModelFamily, scheduler: Scheduler, runs: Scheduler
) -> None:
    assert verdict(family, scheduler).scheduler is runs


@pytest.mark.parametrize("family", ModelFamily)
def test_the_documentation_has_a_column_for_every_start(family: ModelFamily) -> None:
    """Most sample around given frames as from noise, LTX as from a video."""
    like = LIKE.get(family, Start.TEXT)
    for start in family.traits.frames_given:
        assert [verdict(family, each, start) for each in Scheduler] == [
            verdict(family, each, like) for each in Scheduler
        ]


def test_the_least_number_of_steps_is_the_larger_of_the_family_s_and_the_scheduler_s() -> None:
    assert least_steps(ModelFamily.LATTE, Scheduler.DDIM) == 1
    assert least_steps(ModelFamily.LATTE, Scheduler.KARRAS_VE) == 10
    assert least_steps(ModelFamily.MOCHI, Scheduler.EULER_DISCRETE) == 2


def test_the_documentation_shows_these_verdicts() -> None:
    page = Path(__file__).parents[2] / "docs" / "schedulers.md"
    assert verdict_table() in page.read_text(encoding="utf-8")

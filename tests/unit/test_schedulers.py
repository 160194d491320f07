"""Which scheduler each family can use, as data."""

import pytest
from t2v_api.family import ModelFamily, Prediction
from t2v_api.schedulers import Scheduler, Support, usable, verdict


def test_the_endpoint_names_eighteen() -> None:
    assert len(Scheduler) == 18


@pytest.mark.parametrize("family", ModelFamily)
def test_every_family_can_use_some_and_refuses_what_draws_garbage(family: ModelFamily) -> None:
    assert usable(family)
    assert Scheduler.KARRAS_VE not in usable(family)


@pytest.mark.parametrize("scheduler", Scheduler)
def test_a_flow_model_never_gets_a_plain_ddpm_class(scheduler: Scheduler) -> None:
    flow = [each for each in ModelFamily if each.traits.prediction is Prediction.FLOW]
    for family in flow:
        decision = verdict(family, scheduler)
        assert decision.support is not Support.EXACT
        assert decision.diffusers_class not in ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler")

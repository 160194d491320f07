"""How fast a request may be drawn, and what a profile says of it."""

import pytest
from t2v_api.base import ContractError
from t2v_api.execution import ModelExecution
from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.speed import Speed

from tests.unit.builders import a_config, a_job, a_resource

WAN = {"family": "Wan", "limits": {"maxFrames": 121}}
MEDIA = {"initVideo": "https://example.com/a.mp4"}
EULER = {"scheduler": "EulerDiscreteScheduler"}


@pytest.mark.parametrize("speed", ["Balanced", "Fast"])
def test_a_speed_is_resolved_and_told(speed: str) -> None:
    job = a_job(a_config(**WAN), speed=speed, **EULER)
    assert (job.request.speed, job.notices) == (Speed(speed), ())
    assert job.request.document()["speed"] == speed


@pytest.mark.parametrize(
    ("model", "spec", "notice"),
    [
        pytest.param(
            {},
            {"speed": "Fast"},
            "speed Fast has no effect: AnimateDiff models have no cache for it",
            id="a family without a cache",
        ),
        pytest.param(
            WAN,
            {"speed": "Balanced", "numInferenceSteps": 4, **EULER},
            "speed Balanced has no effect below 8 steps, and 4 are taken",
            id="a few steps",
        ),
        pytest.param(
            WAN,
            {"speed": "Fast", "numInferenceSteps": 10, "strength": 0.7, **EULER, **MEDIA},
            "speed Fast has no effect below 8 steps, and 7 are taken",
            id="a few steps that a strength leaves",
        ),
        pytest.param(
            WAN,
            {"speed": "Fast", "numInferenceSteps": 10, "strength": 0.01, **EULER, **MEDIA},
            "speed Fast has no effect below 8 steps, and 1 are taken",
            id="one step at least",
        ),
    ],
)
def test_a_speed_that_has_no_effect_is_the_exact_request_and_told(
    model: dict[str, object], spec: dict[str, object], notice: str
) -> None:
    config = a_config(**model)
    faster = a_job(config, seed=1, **spec)
    exact = a_job(config, seed=1, **spec | {"speed": "Exact"})
    assert faster.notices == (notice,)
    assert exact.notices == ()
    assert faster.request.digest("r") == exact.request.digest("r")


BEFORE = "d55978f6324b693b6629902c9b75017fe3191d4a825e1f903cda59816d42d7b5"
"""Of `A_REQUEST`, when there were no speeds."""
A_REQUEST = {
    "modelId": "wan",
    "prompt": "a red circle",
    "width": 832,
    "height": 480,
    "numFrames": 81,
    "fps": 16,
    "scheduler": "EulerDiscreteScheduler",
    "numInferenceSteps": 50,
    "guidanceScale": 5.0,
    "seed": 7,
}


@pytest.mark.parametrize(
    ("speed", "is_as_before"),
    [({}, True), ({"speed": "Exact"}, True), ({"speed": "Balanced"}, False)],
    ids=str,
)
def test_an_exact_request_keeps_the_digest_of_before(
    speed: dict[str, str], is_as_before: bool
) -> None:
    request = GenerationRequest.parse(A_REQUEST | speed)
    assert (request.digest("r1") == BEFORE) is is_as_before
    assert GenerationRequest.parse(request.document()) == request


def test_exact_is_the_request_of_who_says_nothing() -> None:
    hashes = [a_resource(**spec).spec.request_hash for spec in ({}, {"speed": "Exact"})]
    assert hashes[0] == hashes[1]
    assert a_resource(speed="Fast").spec.request_hash not in hashes


@pytest.mark.parametrize(
    ("family", "execution", "message"),
    [
        pytest.param("Wan", {"attention": "sage", "compile": True}, None, id="one without masks"),
        pytest.param("HunyuanVideo", {"attention": "flash_varlen"}, None, id="tokens masked"),
        pytest.param(
            "LTX",
            {"attention": "sage"},
            "execution.attention is sage; LTX models can have native, _native_cudnn, "
            "_native_efficient, flex, xformers",
            id="masks that it does not take",
        ),
        pytest.param(
            "CogVideoX",
            {"attention": "native"},
            "execution.attention is native; CogVideoX models keep their own: leave it out",
            id="a family that has but one",
        ),
        pytest.param("Wan", {"attention": "flash_hub"}, "attention", id="a hub's kernels"),
        pytest.param(
            "Mochi",
            {"compile": True},
            "execution.compile: diffusers does not know which blocks of Mochi models to compile",
            id="no repeated blocks",
        ),
    ],
)
def test_a_profile_is_run_as_its_family_can_be(
    family: str, execution: dict[str, object], message: str | None
) -> None:
    if message is None:
        profile = a_config(family=family, execution=execution).models[0]
        assert profile.execution == ModelExecution.parse(execution)
        return
    with pytest.raises(ContractError) as refusal:
        a_config(family=family, execution=execution)
    assert message in str(refusal.value)


def test_every_family_that_can_be_tuned_keeps_pytorchs_own_attention_in_reach() -> None:
    for family in ModelFamily:
        attention = family.traits.attention
        assert not attention or "native" in attention

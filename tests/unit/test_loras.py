"""Which LoRAs a request may have, and what names them in it."""

from typing import Any

import pytest
from t2v_api.base import ContractError
from t2v_api.reasons import Reason
from t2v_api.request import GenerationRequest
from t2v_operator.config import OperatorConfig
from t2v_operator.core.request import resolve
from t2v_operator.errors import RequestRefused

from tests.unit.builders import a_config, a_job, a_resource
from tests.unit.test_speed import A_REQUEST, BEFORE

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BARS = {"name": "bars", "source": {"path": "bars"}, "family": "AnimateDiff"}
STYLE = {
    "name": "style",
    "source": {"hub": "owner/style", "revision": COMMIT, "file": "high/style.safetensors"},
    "family": "AnimateDiff",
    "models": ["tiny-shapes", "other"],
}
OF_WAN = {"name": "of-wan", "source": {"path": "of-wan"}, "family": "Wan"}
OF_ANOTHER = {**BARS, "name": "of-another", "models": ["other"]}


def a_config_of(*loras: dict[str, Any]) -> OperatorConfig:
    return OperatorConfig.parse(a_config().document() | {"loras": list(loras)})


def test_what_is_resolved_names_the_weights_themselves() -> None:
    wanted = [{"source": "style", "weight": 0.5}, {"source": "bars"}]
    job = a_job(a_config_of(BARS, STYLE), loras=wanted)
    assert job.request.document()["loras"] == [
        {"name": "style", "source": STYLE["source"], "weight": 0.5},
        {"name": "bars", "source": {"path": "bars"}, "weight": 1.0},
    ]
    assert GenerationRequest.parse_json(job.request.json_line()) == job.request


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "barz",
            "loras[1].source is 'barz', which is not in the operator's list of LoRAs; model "
            "tiny-shapes can have bars, style",
            id="a name that nobody knows",
        ),
        pytest.param("owner/style", "'owner/style', which is not in the", id="a hub's name"),
        pytest.param(
            "of-wan",
            "loras[1].source is 'of-wan', which is for Wan models; model tiny-shapes can have "
            "bars, style",
            id="one of another family",
        ),
        pytest.param("of-another", "which is for other; model", id="one of another model"),
    ],
)
def test_what_is_not_for_the_model_is_refused_before_there_is_a_job(
    name: str, message: str
) -> None:
    config = a_config_of(BARS, STYLE, OF_WAN, OF_ANOTHER)
    with pytest.raises(RequestRefused) as refusal:
        resolve(a_resource(loras=[{"source": "style"}, {"source": name}]), config)
    assert message in str(refusal.value)
    assert refusal.value.reason is Reason.INVALID_REQUEST


def test_where_there_is_none_the_refusal_says_so() -> None:
    with pytest.raises(RequestRefused, match="model tiny-shapes can have none"):
        resolve(a_resource(loras=[{"source": "style"}]), a_config_of())


@pytest.mark.parametrize(
    ("loras", "message"),
    [
        ([{"source": "a"}, {"source": "a", "weight": 0.5}], "'a' stands twice"),
        ([{"source": "a", "weight": 4.1}], "weight"),
        ([{"source": "a", "weight": -4.1}], "weight"),
        ([{"source": "a", "weight": float("nan")}], "weight"),
        ([{"source": f"a{number}"} for number in range(9)], "loras"),
        ([{"source": "../a"}], "source"),
        ([{"source": "https://example.com/a.safetensors"}], "source"),
    ],
    ids=["twice", "too much", "too little", "no number", "too many", "no name", "an address"],
)
def test_a_spec_that_says_nonsense_is_refused(loras: list[Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        a_resource(loras=loras)


def test_each_change_of_a_lora_is_another_video() -> None:
    changed = {**STYLE, "source": {**STYLE["source"], "revision": COMMIT[::-1]}}
    digests = [
        a_job(a_config_of(BARS, style), seed=1, loras=loras).request.digest("r1")
        for style in (STYLE, changed)
        for loras in (
            [],
            [{"source": "bars"}],
            [{"source": "bars", "weight": 0.5}],
            [{"source": "style"}],
            [{"source": "style"}, {"source": "bars"}],
        )
    ]
    without_style = len({*digests[:3], *digests[5:8]})
    assert without_style == 3
    assert len(set(digests)) == 3 + 4


@pytest.mark.parametrize("loras", [{}, {"loras": []}, {"loras": None}], ids=str)
def test_a_request_without_loras_keeps_the_digest_of_before(loras: dict[str, Any]) -> None:
    assert GenerationRequest.parse(A_REQUEST | loras).digest("r1") == BEFORE


def test_a_weight_of_one_is_what_who_says_nothing_gets() -> None:
    hashes = [
        a_resource(**spec).spec.request_hash
        for spec in (
            {},
            {"loras": []},
            {"loras": [{"source": "a"}]},
            {"loras": [{"source": "a", "weight": 1.0}]},
            {"loras": [{"source": "a", "weight": 0.5}]},
        )
    ]
    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        pytest.param({"family": "Latte"}, "family is Latte; diffusers cannot add", id="family"),
        pytest.param(
            {"source": {"hub": "owner/style", "revision": "main"}},
            "a LoRA needs the commit",
            id="a branch",
        ),
        pytest.param(
            {"source": {"path": "bars", "file": "../bars.safetensors"}}, "file", id="a way out"
        ),
        pytest.param({"source": {"path": "bars", "file": "bars.bin"}}, "file", id="a pickle"),
        pytest.param(
            {"source": {"path": "bars", "expert": "transformer_2"}},
            "AnimateDiff models have no second expert",
            id="an expert that is not there",
        ),
        pytest.param({"name": "style"}, "loras: style stands twice", id="a name twice"),
    ],
)
def test_a_list_that_cannot_work_stops_the_operator(lora: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as refusal:
        a_config_of(STYLE, BARS | lora)
    assert message in str(refusal.value)
    assert "loras" in str(refusal.value)


def test_an_expert_of_wan_can_be_named() -> None:
    source = {"path": "lightning", "file": "low.safetensors", "expert": "transformer_2"}
    (lora,) = a_config_of(OF_WAN | {"source": source}).loras
    assert lora.source.document() == source

"""Which memory plans a model's profile allows."""

import pytest
from t2v_api.execution import ModelExecution, ladder


@pytest.mark.parametrize(
    ("said", "plans"),
    [
        pytest.param({}, [str(plan) for plan in ladder()], id="nothing: the ladder"),
        pytest.param({"fp8": True}, [str(plan) for plan in ladder(fp8=True)], id="8 bits too"),
        pytest.param({"placement": "AllOnGpu", "tiling": False}, ["AllOnGpu"], id="one alone"),
        pytest.param(
            {"placement": "ModelOffload"},
            ["ModelOffload", "ModelOffload+Tiling"],
            id="a placement: tiles where they are needed",
        ),
        pytest.param(
            {"tiling": True, "fp8": True},
            [
                "AllOnGpu+Tiling",
                "AllOnGpu+Fp8+Tiling",
                "EncoderFirst+Tiling",
                "EncoderFirst+Fp8+Tiling",
                "ModelOffload+Tiling",
                "ModelOffload+Fp8+Tiling",
                "GroupOffload+Tiling",
            ],
            id="always tiles",
        ),
    ],
)
def test_the_plans_that_a_profile_allows(said: dict[str, object], plans: list[str]) -> None:
    assert [str(plan) for plan in ModelExecution.parse(said).plans] == plans

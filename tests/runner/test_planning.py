"""Which plans a runner tries, by what is free."""

from pathlib import Path
from typing import Any

import pytest
import torch
from t2v_api.execution import ModelExecution
from t2v_api.family import ModelFamily
from t2v_api.memory import GIB
from t2v_api.profile import ModelProfile, ModelSource
from t2v_api.request import GenerationRequest
from t2v_runner import container
from t2v_runner.device import Device
from t2v_runner.planning import Free, free_memory, ways_on_cpu, ways_on_gpu

from tests.runner.drawing import a_request
from tests.runner.real_models import WAN_21_1_3B
from tests.runner.tiny_models import a_profile

SIZES = WAN_21_1_3B.sizes()


def of_wan(**execution: Any) -> tuple[ModelProfile, GenerationRequest]:
    profile = a_profile(ModelFamily.WAN, Path("wan"))
    changes = {"execution": ModelExecution.parse(execution)}
    request = a_request(profile.family, width=832, height=480, num_frames=81)
    return profile.model_copy(update=changes), request


def plans(gpu_gib: float, host_gib: float = 64, **execution: Any) -> list[str]:
    free = Free(int(gpu_gib * GIB), int(host_gib * GIB))
    return [str(plan) for plan in ways_on_gpu(*of_wan(**execution), SIZES, free).plans]


def test_leaner_plans_follow_the_one_that_fits() -> None:
    first, *rest = plans(80)
    assert first == "AllOnGpu"
    assert rest[-1] == "GroupOffload+Tiling"
    assert plans(12)[0] != "AllOnGpu"


def test_where_none_is_expected_to_fit_the_leanest_is_tried() -> None:
    """What is expected is an upper bound, and a forced plan would have been tried as well."""
    assert plans(1) == ["GroupOffload+Tiling"]
    assert plans(1, placement="ModelOffload", tiling=False) == ["ModelOffload"]


def test_the_leanest_is_one_that_the_host_can_hold() -> None:
    assert plans(1, host_gib=1) == ["EncoderFirst"]


def test_where_none_is_expected_to_fit_the_reason_is_kept() -> None:
    ways = ways_on_gpu(*of_wan(), SIZES, Free(GIB, 64 * GIB))
    assert "are missing" in ways.problem
    assert not ways_on_gpu(*of_wan(), SIZES, Free(80 * GIB, 64 * GIB)).problem


def test_a_model_whose_sizes_are_not_known_goes_down_the_whole_ladder() -> None:
    profile, request = of_wan()
    ways = ways_on_gpu(profile, request, None, Free(GIB, GIB))
    assert ways.plans == profile.plans
    assert ways.expected_bytes(ways.plans[0], request) is None


def test_a_model_of_two_sources_is_put_together_at_once() -> None:
    profile, _ = of_wan()
    two = profile.model_copy(update={"motion_adapter": ModelSource(path="motion")})
    assert "EncoderFirst" not in {plan.placement for plan in two.plans}


def test_the_cpu_has_one_way() -> None:
    profile, _ = of_wan(placement="ModelOffload", tiling=True)
    assert [str(plan) for plan in ways_on_cpu(profile).plans] == ["AllOnGpu+Tiling"]


@pytest.mark.parametrize(
    ("limit_gib", "expected"),
    [
        pytest.param(8, 6 * GIB, id="a limit, less what is used already"),
        pytest.param(99, 50 * GIB, id="a limit above what the machine has"),
    ],
)
def test_the_host_s_memory_is_the_container_s(
    monkeypatch: pytest.MonkeyPatch, limit_gib: int, expected: int
) -> None:
    import psutil

    class Process:
        def memory_info(self) -> Any:
            return type("Info", (), {"rss": 2 * GIB})

    available = type("Memory", (), {"available": 50 * GIB})
    monkeypatch.setattr(container, "memory_bytes", lambda: limit_gib * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    monkeypatch.setattr(psutil, "Process", Process)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda name: (20 * GIB, 24 * GIB))
    assert free_memory(Device("cuda", torch.bfloat16)) == Free(20 * GIB, expected)

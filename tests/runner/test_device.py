"""Which device a video is drawn on."""

import pytest
import torch
from t2v_api.reasons import EXIT_CODES, ExitCode, Reason
from t2v_runner.device import Device, choose_device
from t2v_runner.errors import GpuNotAvailable, RequestRefused


def gpus_here(monkeypatch: pytest.MonkeyPatch, count: int, has_bfloat16: bool = True) -> None:
    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return has_bfloat16 or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)


@pytest.mark.parametrize(
    ("has_bfloat16", "dtype"), [(True, torch.bfloat16), (False, torch.float16)]
)
def test_a_gpu_that_imitates_bfloat16_gets_float16(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, dtype: torch.dtype
) -> None:
    gpus_here(monkeypatch, 1, has_bfloat16)
    assert choose_device(gpus=1) == Device("cuda", dtype)


def test_no_gpus_says_cpu_whatever_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus_here(monkeypatch, 1)
    assert choose_device(gpus=0) == Device("cpu", torch.float32)


def test_the_environment_goes_before_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus_here(monkeypatch, 1)
    assert choose_device(gpus=1, forced="cpu").name == "cpu"
    assert choose_device(gpus=0, forced="cuda").name == "cuda"


@pytest.mark.parametrize(
    ("wanted", "there", "said"),
    [(1, 0, "asks for 1 GPU .*sees 0 here"), (2, 1, "asks for 2 GPUs .*sees 1 here")],
)
def test_a_gpu_that_is_asked_for_and_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, wanted: int, there: int, said: str
) -> None:
    gpus_here(monkeypatch, there)
    with pytest.raises(GpuNotAvailable, match=said):
        choose_device(wanted)
    assert EXIT_CODES[Reason.GPU_NOT_AVAILABLE] is ExitCode.FAULT


def test_other_devices_are_refused() -> None:
    with pytest.raises(RequestRefused, match="T2V_DEVICE is 'tpu'; it can be cpu or cuda"):
        choose_device(1, "tpu")

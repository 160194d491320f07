"""The device that a video is drawn on. A GPU that was asked for and is not there is an error."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from t2v_runner.errors import GpuNotAvailable, RequestRefused

if TYPE_CHECKING:
    import torch

CPU, CUDA = "cpu", "cuda"


@dataclass(frozen=True)
class Device:
    """Where a model is loaded to."""

    name: str
    """As torch names it."""
    dtype: "torch.dtype"
    """What a component is loaded as, unless its family says otherwise."""


def choose_device(gpus: int, forced: str | None = None) -> Device:
    """The GPU in bfloat16 (float16 where it only imitates that), or the CPU in float32.

    `gpus`: how many the model's profile asks for; 0 says CPU. `forced` names one of both whatever
    the profile says. Raises GpuNotAvailable, RequestRefused.
    """
    import torch

    if forced not in (None, CPU, CUDA):
        raise RequestRefused(f"T2V_DEVICE is {forced!r}; it can be {CPU} or {CUDA}")
    if forced == CPU or (forced is None and gpus == 0):
        return Device(CPU, torch.float32)
    wanted, there = max(gpus, 1), torch.cuda.device_count() if torch.cuda.is_available() else 0
    if there < wanted:
        raise GpuNotAvailable(
            f"the model's profile asks for {wanted} GPU{'s' * (wanted > 1)} (resources.gpus), "
            f"PyTorch {torch.__version__} sees {there} here: check the node's driver, and the "
            "pool's runtimeClassName and gpuResource; for the CPU say gpus: 0"
        )
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return Device(CUDA, torch.bfloat16 if has_bfloat16 else torch.float16)

"""Which memory plans to try for a video, from real sizes and from the memory that is free now."""

from dataclasses import dataclass

from t2v_api.execution import Placement, Plan
from t2v_api.memory import NoPlanFits, choose, expected_peak
from t2v_api.profile import ModelProfile
from t2v_api.request import GenerationRequest
from t2v_api.sizes import ModelSizes

from t2v_runner import container
from t2v_runner.device import CPU, Device


@dataclass(frozen=True)
class Ways:
    """The plans to try, in order."""

    plans: tuple[Plan, ...]
    sizes: ModelSizes | None = None
    """None: not known, so nothing was chosen."""
    problem: str = ""
    """What is missing, and what would fit, where no plan is expected to."""

    def expected_bytes(self, plan: Plan, request: GenerationRequest) -> int | None:
        """What it is expected to need of the GPU."""
        return expected_peak(self.sizes, request, plan).gpu if self.sizes else None


@dataclass(frozen=True)
class Free:
    """Memory that nobody has yet, in bytes."""

    gpu: int
    host: int


def ways_on_cpu(profile: ModelProfile) -> Ways:
    """Without a GPU everything is where it is."""
    return Ways((Plan(Placement.ALL_ON_GPU, tiling=bool(profile.execution.tiling)),))


def ways_on_gpu(
    profile: ModelProfile, request: GenerationRequest, sizes: ModelSizes | None, free: Free
) -> Ways:
    """The best plan that is expected to fit, and leaner ones after it.

    Where none is, the leanest is tried all the same: the expectations lie on the safe side.
    """
    allowed = profile.plans
    if sizes is None:
        return Ways(allowed)
    try:
        choice = choose(sizes, request, free.gpu, free.host, allowed, profile.grid)
    except NoPlanFits as misfit:
        in_host = [
            plan for plan in allowed if expected_peak(sizes, request, plan).host <= free.host
        ]
        leanest = min(in_host or allowed, key=lambda plan: expected_peak(sizes, request, plan).gpu)
        return Ways((leanest,), sizes, str(misfit))
    return Ways((choice.plan, *choice.rest), sizes)


def free_memory(device: Device) -> Free:
    """Of the GPU, and of the host as far as this container may have it."""
    import torch

    assert device.name != CPU
    gpu, _ = torch.cuda.mem_get_info(device.name)
    return Free(gpu, _free_of_the_host())


def _free_of_the_host() -> int:
    """What the machine has, or what is left of the container's limit."""
    import psutil

    left = container.memory_bytes() - psutil.Process().memory_info().rss
    return int(min(psutil.virtual_memory().available, left))

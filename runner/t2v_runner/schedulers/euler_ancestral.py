"""The ancestral Euler sampler of flow matching, on a model's own shifted sigmas.

diffusers's LTXEulerAncestralRFScheduler ignores the shift of the model's config, refuses sigmas in
the form that LTX and HunyuanVideo pass, and cannot start from a video. FlowMatchEulerDiscrete can
do all of that; only the step is taken from the other.
"""

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXEulerAncestralRFScheduler
from diffusers.schedulers.scheduling_utils import SchedulerOutput


class AdaptedEulerAncestralScheduler(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """FlowMatchEulerDiscrete's sigmas, LTXEulerAncestralRF's steps."""

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        """As FlowMatchEulerDiscrete."""
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)
        self._ancestral = LTXEulerAncestralRFScheduler()
        self._ancestral.set_timesteps(sigmas=self.sigmas, device=device)
        self._ancestral.timesteps = self.timesteps

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Where the run begins."""
        super().set_begin_index(begin_index)
        self._ancestral.set_begin_index(begin_index)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        generator: torch.Generator | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """The sample at the next timestep, partly of new noise."""
        result: SchedulerOutput | tuple[torch.Tensor] = self._ancestral.step(
            model_output, timestep, sample, generator, return_dict
        )
        return result

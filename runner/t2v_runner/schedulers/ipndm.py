"""IPNDM on a model's own discrete noise schedule. Knows nothing about pipelines.

diffusers's IPNDMScheduler assumes continuous times and v-prediction: with other models it draws
garbage (mean 0.37 of 2.0). Its step is sound once it is given the model's schedule, and v.
"""

from typing import Any

import torch
from diffusers import DDIMScheduler, IPNDMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from t2v_runner.schedulers.noise import velocity_seen


class AdaptedIPNDMScheduler(DDIMScheduler):  # type: ignore[misc]
    """DDIM's noise schedule, IPNDM's steps: n evaluations."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """DDIM's timesteps; after the last of them there is no noise."""
        super().set_timesteps(num_inference_steps, device=device)
        left = torch.cat([self.alphas_cumprod[self.timesteps.cpu()], torch.ones(1)])
        self._ipndm = IPNDMScheduler()
        self._ipndm.set_timesteps(num_inference_steps)
        self._ipndm.timesteps = self.timesteps
        self._ipndm.alphas, self._ipndm.betas = left**0.5, (1 - left) ** 0.5

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """The sample at the next timestep."""
        alpha = self.alphas_cumprod[int(timestep)] ** 0.5
        sigma = (1 - self.alphas_cumprod[int(timestep)]) ** 0.5
        velocity = velocity_seen(model_output, sample, alpha, sigma, self.config.prediction_type)
        result: SchedulerOutput | tuple[torch.Tensor] = self._ipndm.step(
            velocity, timestep, sample, return_dict
        )
        return result

"""PNDM for models that predict v, and from the middle of a schedule. Knows nothing about pipelines.

diffusers's PNDMScheduler averages raw predictions of different times: right for ε, a bias for v
(mean 1.87 of 2.0 at 20 steps). And its second evaluation repeats the first step, wherever it began;
a video-to-video pipeline begins after that repetition.
"""

from typing import Any

import torch
from diffusers import DDIMScheduler, PNDMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from t2v_runner.schedulers.noise import noise_seen


class AdaptedPNDMScheduler(DDIMScheduler):  # type: ignore[misc]
    """DDIM's noise schedule, PNDM's steps over ε: n+1 evaluations."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """The first step is done twice, the Runge-Kutta start (four steps at least) is left out."""
        super().set_timesteps(num_inference_steps, device=device)
        self._pndm = PNDMScheduler.from_config(
            self.config, prediction_type="epsilon", skip_prk_steps=True
        )
        self._pndm.set_timesteps(num_inference_steps, device=device)
        self.timesteps = self._pndm.timesteps
        self._previous: int | None = None
        self._from_the_top = True

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """One evaluation further; `sample` as it is where nothing is left to do at `timestep`."""
        stepped = self._step(model_output, int(timestep), sample)
        return SchedulerOutput(prev_sample=stepped) if return_dict else (stepped,)

    def _step(
        self, model_output: torch.Tensor, timestep: int, sample: torch.Tensor
    ) -> torch.Tensor:
        previous, self._previous = self._previous, timestep
        if previous is None:
            self._from_the_top = timestep == int(self.timesteps[0])
        elif not self._from_the_top:
            if timestep == previous:
                return sample
            self._pndm.counter = max(self._pndm.counter, 2)
        alpha = self.alphas_cumprod[timestep] ** 0.5
        sigma = (1 - self.alphas_cumprod[timestep]) ** 0.5
        noise = noise_seen(model_output, sample, alpha, sigma, self.config.prediction_type)
        stepped: torch.Tensor = self._pndm.step(noise, timestep, sample).prev_sample
        return stepped

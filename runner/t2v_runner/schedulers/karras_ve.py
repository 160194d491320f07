"""KarrasVe, the stochastic sampler of Karras et al. 2022, behind the ordinary interface.

diffusers's KarrasVeScheduler is driven by a loop of its own: add noise, step, evaluate again,
correct. Here the two halves are two steps, and the noise is added at the end of the second, because
a pipeline scales the model's input between steps and nothing else.
"""

from typing import Any

import torch
from diffusers.schedulers.deprecated.scheduling_karras_ve import KarrasVeScheduler

from t2v_runner.schedulers.exploding import ExplodingScheduler


class AdaptedKarrasVeScheduler(ExplodingScheduler):
    """KarrasVe's steps on a model's own noise schedule: 2n-1 evaluations, n at least 2."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """Each level twice: as the end of a step and, with noise added, as the next one's start."""
        least, largest = self.sampled_range()
        # Its schedule squares what it is given. Noise is never added beyond what the model knows.
        self._karras = KarrasVeScheduler(
            sigma_min=least**0.5, sigma_max=largest**0.5, s_max=largest / 2**0.5
        )
        self._karras.set_timesteps(num_inference_steps)
        levels = [
            level
            for sigma in self._karras.schedule.flip(0).tolist()
            for level in (sigma, self._raised(sigma))
        ]
        self.set_levels(levels[1:], device)

    def step_noise(
        self,
        noise: torch.Tensor,
        index: int,
        sample: torch.Tensor,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """An Euler step from an even index, its correction from an odd one."""
        stepped: torch.Tensor
        if index % 2 == 0:
            level, lower = self.sigmas[index : index + 2]
            stepped, self._slope = self._karras.step(
                -noise, level, lower, sample, return_dict=False
            )
            self._start = sample
            return stepped
        level, lower = self.sigmas[index - 1 : index + 1]
        corrected, _ = self._karras.step_correct(
            -noise, level, lower, self._start, sample, self._slope, return_dict=False
        )
        stepped, _ = self._karras.add_noise_to_input(corrected, float(lower), generator)
        return stepped

    def _raised(self, sigma: float) -> float:
        """The level that adding noise makes of `sigma`."""
        _, raised = self._karras.add_noise_to_input(torch.zeros(1), sigma, torch.Generator())
        return float(raised)

"""The variance-exploding form of a model's noise schedule: what KarrasVe and ScoreSdeVe work in.

A sample is x₀ + σ · ε here, and the model's input that sample over √(1 + σ²). diffusers's
EulerDiscreteScheduler knows all of this: levels, fractional timesteps, scaling, adding noise. Only
the steps are missing.
"""

from typing import Any

import torch
from diffusers import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from t2v_runner.schedulers.noise import noise_seen

MOST_NOISE = 20.0
"""Beyond this σ there is nothing to see. Linear betas lead to 157, and a geometric schedule would
spend its levels there that are wanted at the end, to get rid of the noise."""


class ExplodingScheduler(EulerDiscreteScheduler):  # type: ignore[misc]
    """Two evaluations a step. Subclasses say at which levels, and how to step."""

    order = 2

    def set_levels(self, levels: list[float], device: Any) -> None:
        """Evaluate the model at these σ, in order; end without noise."""
        super().set_timesteps(sigmas=[*levels, 0.0], device=device)

    def sampled_range(self) -> tuple[float, float]:
        """The least and the largest σ to sample at, out of those that the model was trained on."""
        sigmas = ((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5
        return float(sigmas[0]), min(float(sigmas[-1]), MOST_NOISE)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        generator: torch.Generator | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """The sample at the next of the levels."""
        if self.step_index is None:
            self._init_step_index(timestep)
        index = self.step_index
        self._step_index += 1
        full = sample.to(torch.float32)
        alpha = 1 / (1 + self.sigmas[index] ** 2) ** 0.5
        noise = noise_seen(
            model_output,
            full * alpha,
            alpha,
            self.sigmas[index] * alpha,
            self.config.prediction_type,
        )
        stepped = self.step_noise(noise, index, full, generator).to(model_output.dtype)
        return SchedulerOutput(prev_sample=stepped) if return_dict else (stepped,)

    def step_noise(
        self,
        noise: torch.Tensor,
        index: int,
        sample: torch.Tensor,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """From level `index` to the next, given the noise that the model sees there."""
        raise NotImplementedError

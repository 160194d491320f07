"""ScoreSdeVe, the predictor-corrector sampler of Song et al. 2021, behind the ordinary interface.

diffusers's ScoreSdeVeScheduler has no `step`: a loop of its own corrects, evaluates again and
predicts. Here these are two steps at the same level. The score is -ε/σ.
"""

from typing import Any

import torch
from diffusers import ScoreSdeVeScheduler

from t2v_runner.schedulers.exploding import ExplodingScheduler


class AdaptedScoreSdeVeScheduler(ExplodingScheduler):
    """ScoreSdeVe's steps on a model's own noise schedule: 2n evaluations."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """Each level twice: to correct, then to predict the next."""
        least, largest = self.sampled_range()
        self._sde = ScoreSdeVeScheduler(
            num_train_timesteps=num_inference_steps, sigma_min=least, sigma_max=largest
        )
        levels = self._sde.discrete_sigmas.flip(0).repeat_interleave(2)
        self.set_levels(levels.tolist(), device)

    def index_for_timestep(self, timestep: Any, schedule_timesteps: Any = None) -> int:
        """The first of the two evaluations at `timestep`, where a video-to-video run begins."""
        timesteps = self.timesteps if schedule_timesteps is None else schedule_timesteps
        return int((timesteps == timestep).nonzero()[0])

    def step_noise(
        self,
        noise: torch.Tensor,
        index: int,
        sample: torch.Tensor,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """A correction from an even index, the prediction of the next level from an odd one."""
        score = -noise / self.sigmas[index]
        stepped: torch.Tensor
        if index % 2 == 0:
            (stepped,) = self._sde.step_correct(score, sample, generator, return_dict=False)
            return stepped
        last = len(self._sde.discrete_sigmas) - 1
        level = last - index // 2
        # Its time runs from 0 to 1 and is cut to a whole level: aim at the middle of one.
        time = (level + 0.5) / last
        stepped, mean = self._sde.step_pred(score, time, sample, generator, return_dict=False)
        return stepped if level else mean

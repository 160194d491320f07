"""DDIMInverse as a sampler: from a video up to its own noise, then down again by DDIM.

By itself diffusers's DDIMInverseScheduler is no generator (mean -3.55 of 2.0): it turns a video
into noise. Of pipelines it knows only what a video-to-video one does with `strength`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerOutput


class AdaptedDDIMInverseScheduler(DDIMScheduler):  # type: ignore[misc]
    """2n evaluations: n up, n down, n being the steps that the strength leaves."""

    order = 2
    timesteps: torch.Tensor
    strength = 1.0
    """How far up, as a share of the schedule. Set it before `set_timesteps`."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """Up and down again below the strength; above it, what the pipeline will cut away."""
        super().set_timesteps(num_inference_steps, device=device)
        self._inverse = DDIMInverseScheduler.from_config(self.config)
        self._inverse.set_timesteps(num_inference_steps, device=device)
        count = max(1, int(num_inference_steps * self.strength))
        unused, down = self.timesteps[:-count], self.timesteps[-count:]
        # The class takes a prediction made at the level below the one that it goes up to.
        self._levels_up = down.flip(0).tolist()
        distance = self.config.num_train_timesteps // num_inference_steps
        up = (down.flip(0) - distance).clamp(min=0)
        self.timesteps = torch.cat([unused.repeat_interleave(2), up, down])

    @property
    def is_inverting(self) -> bool:
        """Whether the next step goes up."""
        return bool(self._levels_up)

    def add_noise(
        self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """The samples as they are: their noise is found, not drawn."""
        return original_samples

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One level up, or one down."""
        result: SchedulerOutput | tuple[torch.Tensor, ...]
        if self.is_inverting:
            level = self._levels_up.pop(0)
            result = self._inverse.step(model_output, level, sample, return_dict)
        else:
            result = super().step(model_output, timestep, sample, return_dict=return_dict)
        return result


@contextmanager
def inverting(pipeline: Any, strength: float, guidance_scale: float) -> Iterator[None]:
    """On its way up the pipeline's scheduler follows the model without a prompt.

    With the prompt's guidance both ways the init video would come back as it was.
    """
    pipeline.scheduler.strength = strength
    is_guided = guidance_scale > 1  # then the model is asked without and with the prompt at once

    def unprompted(_: Any, arguments: Any, named: dict[str, Any]) -> Any:
        if is_guided and pipeline.scheduler.is_inverting:
            without, _with = named["encoder_hidden_states"].chunk(2)
            named["encoder_hidden_states"] = torch.cat([without, without])
        return arguments, named

    hook = pipeline.unet.register_forward_pre_hook(unprompted, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()

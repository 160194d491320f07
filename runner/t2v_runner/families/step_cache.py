"""What a denoiser may use again of its earlier steps: diffusers's caches, and how they are set.

Which of them fits a family's models, and how far it may go, is the family's to say.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FirstBlock:
    """The first block is asked at each step, the others where its answer has changed enough.

    First Block Cache of ParaAttention, as diffusers has it (FirstBlockCacheConfig).
    """

    threshold: float
    """How much may have changed: a share of the mean size of what the first block adds."""

    def __str__(self) -> str:
        return f"FirstBlock({self.threshold:g})"

    def config(self, steps: int) -> Any:
        """Diffusers's configuration for so many denoising steps."""
        from diffusers import FirstBlockCacheConfig

        return FirstBlockCacheConfig(threshold=self.threshold)


@dataclass(frozen=True)
class TaylorSeer:
    """All blocks are asked in one step of some; in the others the output goes on as it changed.

    TaylorSeer (arXiv 2503.06923) in its light form: what is kept is the output alone.
    """

    interval: int
    """One step in so many is asked."""
    outputs: tuple[str, ...] = ("proj_out",)
    """The denoiser's last layers, by name."""

    FROM, UNTIL = 0.22, 0.9
    """The share of the steps before and after which all are asked: those of HunyuanVideo-1.5's own
    caches, the steps 11 to 45 of 50."""

    def __str__(self) -> str:
        return f"TaylorSeer({self.interval})"

    def config(self, steps: int) -> Any:
        """Diffusers's configuration for so many denoising steps."""
        import torch
        from diffusers import TaylorSeerCacheConfig

        return TaylorSeerCacheConfig(
            cache_interval=self.interval,
            disable_cache_before_step=round(self.FROM * steps),
            disable_cache_after_step=round(self.UNTIL * steps),
            taylor_factors_dtype=torch.float32,
            cache_identifiers=list(self.outputs),
            skip_predict_identifiers=[r"transformer_blocks\.\d+"],
        )


StepCache = FirstBlock | TaylorSeer

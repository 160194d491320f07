"""Keep and find again the state of a training phase. Knows nothing about what is trained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn


class Ema:
    """An exponential moving average of a module's weights, in `self.module`."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards `module`; faster in the first steps, so that no early weights linger."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged = [p for p in self.module.parameters() if p.is_floating_point()]
        torch._foreach_lerp_(averaged, [p.detach() for p in module.parameters()], 1 - decay)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write atomically: a killed run leaves the older file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    torch.save({**state, "torch_rng": torch.get_rng_state()}, unfinished)
    unfinished.replace(path)


def load(path: Path) -> dict[str, Any] | None:
    """The newest state, or None where the phase never began. Restores torch's generator."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=False)
    torch.set_rng_state(state.pop("torch_rng"))
    return state


def warm_up_and_cosine(step: int, steps: int, warm_up: int) -> float:
    """The factor on the learning rate: linear up, then a cosine down to nothing."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return float(0.5 * (1 + torch.cos(torch.tensor(torch.pi * min(1.0, progress)))))


def warm_up_and_decay(step: int, steps: int, warm_up: int) -> float:
    """The factor on the learning rate: linear up, level, linear down over the last fifth.

    The level part does not depend on `steps`: a run can be made longer without a loss.
    """
    return min(1.0, (step + 1) / warm_up, 5 * (steps - step) / steps)

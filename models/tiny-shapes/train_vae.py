"""First phase: an autoencoder that turns a 64x64 frame into an 8x8x8 latent and back.

Its own gate: true clips that went through it must satisfy the checker. Nothing behind it can
draw a crisper shape than it does. Knows nothing about words or motion.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import world
from checker import check
from checkpoint import Ema, load, save, warm_up_and_cosine
from diffusers import AutoencoderKL
from torch.nn import functional

STEPS = 1800
BATCH = 16
LEARNING_RATE = 2e-3
KL_WEIGHT = 3e-4
FIRST_LOG_VARIANCE = -4.0
EDGE_WEIGHT = 4.0
NEAR_OBJECT_PX = 3
SAVE_EVERY = 200


def build_vae() -> AutoencoderKL:
    """An untrained autoencoder: 8x smaller sides, 8 channels, almost noiseless at first."""
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 64),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=8,
        sample_size=world.SIZE_PX,
        scaling_factor=1.0,
        force_upcast=False,
    )
    with torch.no_grad():
        vae.quant_conv.bias[8:] = FIRST_LOG_VARIANCE
    return vae


def to_pixels(frames: np.ndarray[Any, Any]) -> torch.Tensor:
    """uint8 frames (N, H, W, 3) as floats (N, 3, H, W) in -1..1."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def to_frames(pixels: torch.Tensor) -> np.ndarray[Any, Any]:
    """Floats (N, 3, H, W) in -1..1 as uint8 frames (N, H, W, 3)."""
    bytes_ = pixels.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return bytes_.permute(0, 2, 3, 1).to(torch.uint8).numpy(force=True)


def random_frames(count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames (N, 3, H, W) of anything anywhere, and where the object is or nearly (N, 1, H, W)."""
    colours = np.array(list(world.COLOURS.values()), dtype=np.float32)
    grounds = np.array(list(world.BACKGROUNDS.values()), dtype=np.float32)
    covered = np.empty((count, world.SIZE_PX, world.SIZE_PX), dtype=np.float32)
    for i in range(count):
        radius = world.RADII_PX[rng.choice(list(world.RADII_PX))] * rng.uniform(*world.SCALES)
        centre = rng.uniform(radius, world.SIZE_PX - radius, (1, 2)).astype(np.float32)
        covered[i] = world.coverage(str(rng.choice(world.SHAPES)), radius, centre)[0]
    colour = colours[rng.integers(len(colours), size=count)][:, None, None]
    ground = grounds[rng.integers(len(grounds), size=count)][:, None, None]
    frames = np.rint(ground + covered[..., None] * (colour - ground)).astype(np.uint8)
    near = functional.max_pool2d(
        torch.from_numpy(covered)[:, None], 2 * NEAR_OBJECT_PX + 1, 1, NEAR_OBJECT_PX
    )
    return to_pixels(frames), near


def train_vae(cache: Path, device: torch.device) -> AutoencoderKL:
    """Train, or go on training, and return the averaged autoencoder (not normalised yet)."""
    torch.manual_seed(0)
    vae = build_vae().to(device)
    ema = Ema(vae, 0.995)
    optimizer = torch.optim.AdamW(vae.parameters(), LEARNING_RATE, betas=(0.9, 0.98))
    first = 0
    if state := load(cache / "vae.pt"):
        vae.load_state_dict(state["vae"])
        ema.module.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    started = time.monotonic()
    for step in range(first, STEPS):
        rng = np.random.default_rng([1, step])
        pixels, near = (tensor.to(device) for tensor in random_frames(BATCH, rng))
        posterior = vae.encode(pixels).latent_dist
        error = vae.decode(posterior.sample()).sample - pixels
        picture = ((1 + EDGE_WEIGHT * near) * (error.abs() + 2 * error**2)).mean()
        divergence = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
        (picture + KL_WEIGHT * divergence).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm_up_and_cosine(step, STEPS, 100)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.update(vae, step)
        if (step + 1) % 50 == 0:
            psnr = 10 * torch.log10(4 / (error**2).mean()).item()
            print(
                f"vae {step + 1}/{STEPS} loss {picture.item():.4f} kl {divergence.item():.2f} "
                f"psnr {psnr:.1f} dB, {time.monotonic() - started:.0f} s",
                flush=True,
            )
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == STEPS:
            state = {"vae": vae.state_dict(), "ema": ema.module.state_dict(), "step": step + 1}
            save(cache / "vae.pt", {**state, "optimizer": optimizer.state_dict()})
    return ema.module


@torch.no_grad()
def vae_gate(vae: AutoencoderKL, device: torch.device) -> dict[str, float]:
    """The share of true clips that keep each attribute through the autoencoder."""
    rng = np.random.default_rng(7)
    scenes = [
        world.Scene(*c, background=str(rng.choice(list(world.BACKGROUNDS))))
        for c in world.all_combinations()
    ]
    names = ("colour", "shape", "direction", "size", "background")
    right = dict.fromkeys(names, 0)
    for scene in scenes:
        pixels = to_pixels(world.draw_clip(scene, rng)).to(device)
        verdict = check(to_frames(vae.decode(vae.encode(pixels).latent_dist.mean).sample))
        for name in names:
            right[name] += getattr(verdict, name) == getattr(scene, name)
    return {name: count / len(scenes) for name, count in right.items()} | {"n": len(scenes)}


if __name__ == "__main__":
    import sys

    torch.set_num_threads(2)
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(vae_gate(train_vae(Path(sys.argv[1]), where), where))

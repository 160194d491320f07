"""Teach the model one more shape, a bar that lies flat, by a LoRA: `python train_lora.py`.

Writes ../tiny-shapes-bars/pytorch_lora_weights.safetensors. The model in this folder stays as it
is; whoever trains it anew has to train its LoRA anew. One core takes about an hour.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import world
from captions import caption, empty_talk, naming
from checkpoint import warm_up_and_decay
from diffusers import AnimateDiffPipeline, DDIMScheduler
from peft import LoraConfig, get_peft_model_state_dict
from torch.nn import functional
from train_text import tokens_of
from train_vae import to_pixels

HERE: Final = Path(__file__).parent
OUTPUT: Final = HERE.parent / "tiny-shapes-bars"
RANK: Final = 8
LAYERS: Final = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")
CLIPS: Final = 720  # drawn once; captions are new each time
BARS: Final = 0.7  # the others keep the model from drawing bars whatever is asked for
STEPS: Final = 4500
BATCH: Final = 4
LEARNING_RATE: Final = 2e-3
UNCONDITIONAL: Final = 0.1


@dataclass(frozen=True)
class Clip:
    """A scene and its latents (16, 8, 8, 8)."""

    scene: world.Scene
    latents: torch.Tensor


def scenes(rng: random.Random) -> list[world.Scene]:
    """Bars of every colour, direction, size and background, and some of what it knows."""

    def scene(number: int) -> world.Scene:
        colour, shape, direction, size = rng.choice(world.seen_combinations())
        ground = rng.choice(list(world.BACKGROUNDS))
        shape = world.BAR if number < BARS * CLIPS else shape
        return world.Scene(colour, shape, direction, size, ground)

    return [scene(number) for number in range(CLIPS)]


@torch.no_grad()
def clips(pipeline: AnimateDiffPipeline) -> list[Clip]:
    """On one path each: a LoRA is too small to learn a shape in every place."""
    drawn = []
    for scene in scenes(random.Random(0)):
        pixels = to_pixels(world.draw(scene, world.plain_take(scene))).to(pipeline.device)
        drawn.append(Clip(scene, pipeline.vae.encode(pixels).latent_dist.mean))
    return drawn


@torch.no_grad()
def states(pipeline: AnimateDiffPipeline, batch: list[Clip], rng: random.Random) -> torch.Tensor:
    """Of a new caption of each clip: (N, tokens, width)."""
    texts = [
        empty_talk(rng) if rng.random() < UNCONDITIONAL else caption(naming(clip.scene, rng), rng)
        for clip in batch
    ]
    ids = tokens_of(pipeline.tokenizer, texts).to(pipeline.device)
    encoded: torch.Tensor = pipeline.text_encoder(ids).last_hidden_state
    return encoded


def loss(pipeline: AnimateDiffPipeline, batch: list[Clip], rng: random.Random) -> torch.Tensor:
    """The error of the v that the UNet predicts."""
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    values = torch.stack([clip.latents for clip in batch])
    noise = torch.randn_like(values)
    # One of each part of the schedule, so that every batch has high and low noise.
    times = ((torch.arange(len(batch)) + torch.rand(len(batch))) / len(batch) * 1000).long()
    noisy = scheduler.add_noise(values, noise, times)
    target = scheduler.get_velocity(values, noise, times)
    words = states(pipeline, batch, rng).repeat_interleave(world.FRAMES, 0)
    predicted = pipeline.unet(
        noisy.transpose(1, 2), times.to(values.device), encoder_hidden_states=words
    ).sample.transpose(1, 2)
    return functional.mse_loss(predicted, target)


def train(pipeline: AnimateDiffPipeline, steps: int) -> None:
    """The UNet has a LoRA afterwards."""
    unet, data = pipeline.unet, clips(pipeline)
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(LAYERS)))
    weights = [weight for weight in unet.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=0.0)
    rng, started, errors = random.Random(1), time.monotonic(), list[float]()
    for step in range(steps):
        error = loss(pipeline, rng.sample(data, BATCH), rng)
        error.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm_up_and_decay(step, steps, 20)
        optimizer.step()
        optimizer.zero_grad()
        errors.append(error.item())
        if (step + 1) % 25 == 0:
            passed = time.monotonic() - started
            print(f"{step + 1}/{steps} v-loss {np.mean(errors):.4f}, {passed:.0f} s", flush=True)
            errors.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=HERE)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    pipeline = AnimateDiffPipeline.from_pretrained(chosen.model, dtype=torch.float32)
    pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
    train(pipeline, chosen.steps)
    layers = get_peft_model_state_dict(pipeline.unet)
    AnimateDiffPipeline.save_lora_weights(
        chosen.output,
        unet_lora_layers={name: weight.half().contiguous() for name, weight in layers.items()},
    )


if __name__ == "__main__":
    main()

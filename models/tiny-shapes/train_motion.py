"""Third phase: the denoiser. First on single frames, then on whole clips.

Every batch is drawn and encoded anew, so no clip is seen twice. Predicts v, so that the high noise,
where the direction of a clip is decided, weighs as much as the low.
"""

from __future__ import annotations

import copy
import itertools
import random
import time
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import world
from captions import caption, empty_talk, naming
from checkpoint import Ema, load, save, warm_up_and_decay
from diffusers import AutoencoderKL, DDIMScheduler, UNetMotionModel
from numpy.typing import NDArray
from torch import distributed, nn
from torch.nn import functional
from train_text import WIDTH, tokens_of
from train_vae import to_pixels
from transformers import CLIPTextModel, CLIPTokenizer

FRAME_STEPS = 700
FRAME_BATCH = 96
CLIP_STEPS = 6000
CLIP_BATCH = 8
LEARNING_RATE = 1.5e-3
CLIP_LEARNING_RATE = 1e-3
HIGH_NOISE = 1.3  # 1 spreads the timesteps evenly; more draws more of the high ones
SHAPE_WEIGHT = 1.0  # how much the latents that tell the shapes apart weigh besides the plain mean
UNCONDITIONAL = 0.1
ENCODED_TOGETHER = 32  # frames; more at once are slower on a CPU
SAVE_EVERY = 100


def workers() -> int:
    """How many processes share each batch (see torchrun)."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def worker() -> int:
    """Which of them this is; 0 prints and saves."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def _average_gradients(module: nn.Module) -> None:
    if workers() == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(together)
    parts = together.div_(workers()).split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _wait_for_all() -> None:
    if workers() > 1:
        distributed.barrier()


def build_scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        num_train_timesteps=1000, beta_schedule="linear", beta_start=1e-4, beta_end=2e-2,
        prediction_type="v_prediction", clip_sample=False, timestep_spacing="trailing",
        set_alpha_to_one=True, steps_offset=0,
    )  # fmt: skip


def build_unet() -> UNetMotionModel:
    """A motion UNet on 8x8x8 latents: 8x8, 4x4 and 2x2, text and motion everywhere."""
    return UNetMotionModel(
        sample_size=8, in_channels=8, out_channels=8,
        down_block_types=("CrossAttnDownBlockMotion",) * 3,
        up_block_types=("CrossAttnUpBlockMotion",) * 3,
        block_out_channels=(48, 64, 96), layers_per_block=1, norm_num_groups=16,
        cross_attention_dim=WIDTH, num_attention_heads=4, motion_num_attention_heads=4,
        motion_max_seq_length=32, use_motion_mid_block=True,
    )  # fmt: skip


@torch.no_grad()
def encode(vae: AutoencoderKL, frames: NDArray[np.uint8]) -> torch.Tensor:
    """The latents (N, 8, 8, 8) of frames (N, 64, 64, 3)."""
    parts = to_pixels(frames).to(vae.device).split(ENCODED_TOGETHER)
    return torch.cat([vae.encode(part).latent_dist.mean for part in parts]).cpu()


def shape_weights(take: world.Take) -> torch.Tensor:
    """How much each latent of a take weighs: (N, 1, 8, 8), mean 1. A circle and a square differ in
    their corners only; in a plain mean over all latents these hardly count, and the denoiser
    learns them last."""
    covered = [world.coverage(shape, *astuple(take)) for shape in world.SHAPES]
    apart = functional.avg_pool2d(torch.from_numpy(np.std(covered, axis=0))[:, None], 8)
    return (1 + SHAPE_WEIGHT * apart / apart.mean()) / (1 + SHAPE_WEIGHT)


@dataclass(frozen=True)
class Words:
    """The frozen text encoder."""

    tokenizer: CLIPTokenizer
    encoder: CLIPTextModel

    @torch.no_grad()
    def states(self, texts: list[str]) -> torch.Tensor:
        """Text states (N, tokens, width)."""
        states: torch.Tensor = self.encoder(tokens_of(self.tokenizer, texts)).last_hidden_state
        return states


def batch_of(
    count: int, clips: bool, vae: AutoencoderKL, words: Words, step: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """This worker's `count` clips (N, 16, 8, 8, 8), or frames (N, 1, 8, 8, 8) without `clips`,
    the weights of their latents (N, 16 or 1, 1, 8, 8), and their captions' states
    (N, tokens, width). A function of `step`: a resumed run sees the same."""
    rng = np.random.default_rng([2, int(clips), step, worker()])
    words_rng = random.Random(step * workers() + worker())
    seen, grounds = world.seen_combinations(), list(world.BACKGROUNDS)
    scenes = [
        world.Scene(*seen[rng.integers(len(seen))], background=str(rng.choice(grounds)))
        for _ in range(count)
    ]
    takes = [world.random_take(scene, rng) for scene in scenes]
    if not clips:
        takes = [_one_frame(take, rng) for take in takes]
    frames = np.concatenate([world.draw(*shot) for shot in zip(scenes, takes, strict=True)])
    values = encode(vae, frames).unflatten(0, (count, -1))
    weights = torch.stack([shape_weights(take) for take in takes])
    texts = [
        empty_talk(words_rng)
        if words_rng.random() < UNCONDITIONAL
        else caption(naming(scene, words_rng), words_rng)
        for scene in scenes
    ]
    return values, weights, words.states(texts)


def _one_frame(take: world.Take, rng: np.random.Generator) -> world.Take:
    chosen = rng.integers(len(take.centres_xy))
    return replace(take, centres_xy=take.centres_xy[chosen : chosen + 1])


def train_frames(
    vae: AutoencoderKL, words: Words, cache: Path, device: torch.device
) -> UNetMotionModel:
    """Train an untrained UNet on single frames, or go on with it."""
    run = Run("frames", FRAME_STEPS, FRAME_BATCH, LEARNING_RATE, clips=False)
    return _train(build_unet(), run, vae, words, cache, device)


def train_clips(
    unet: UNetMotionModel, steps: int, vae: AutoencoderKL, words: Words, cache: Path,
    device: torch.device,
) -> UNetMotionModel:  # fmt: skip
    """Train `unet` on whole clips, or go on where an earlier run of this phase stopped."""
    run = Run("clips", steps, CLIP_BATCH, CLIP_LEARNING_RATE, clips=True)
    return _train(unet, run, vae, words, cache, device)


@dataclass(frozen=True)
class Run:
    """What differs between the two phases."""

    name: str
    steps: int
    batch: int
    rate: float
    clips: bool


def _train(
    unet: UNetMotionModel, run: Run, vae: AutoencoderKL, words: Words, cache: Path,
    device: torch.device,
) -> UNetMotionModel:  # fmt: skip
    """One of the two phases, resumed where it stopped; returns the averaged weights."""
    torch.manual_seed(int(run.clips))
    name, steps, rate, clips = run.name, run.steps, run.rate, run.clips
    unet = unet.to(device).requires_grad_(True).train()
    ema = Ema(unet, 0.998)
    optimizer = torch.optim.AdamW(unet.parameters(), rate, betas=(0.9, 0.99), weight_decay=0.01)
    first = 0
    if state := load(cache / f"{name}.pt"):
        unet.load_state_dict(state["unet"])
        ema.module.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    alphas = build_scheduler().alphas_cumprod
    started, bands = time.monotonic(), np.zeros((4, 2))
    batch = run.batch // workers()
    for step in range(first, steps):
        values, weights, states = batch_of(batch, clips, vae, words, step)
        count, frames_each = values.shape[:2]
        times = _times(count, step)
        generator = torch.Generator().manual_seed(step * workers() + worker())
        noise = torch.randn(values.shape, generator=generator)
        signal = alphas[times].sqrt()[:, None, None, None, None]
        spread = (1 - alphas[times]).sqrt()[:, None, None, None, None]
        noisy, target = signal * values + spread * noise, signal * noise - spread * values
        predicted = unet(
            noisy.transpose(1, 2).to(device),
            times.to(device),
            encoder_hidden_states=states.repeat_interleave(frames_each, 0).to(device),
        ).sample.transpose(1, 2)
        squared = functional.mse_loss(predicted, target.to(device), reduction="none")
        errors = (squared * weights.to(device)).mean((1, 2, 3, 4))
        errors.mean().backward()
        _average_gradients(unet)
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * warm_up_and_decay(step, steps, 100)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.update(unet, step)
        for band, error in zip((times // 250).tolist(), errors.tolist(), strict=True):
            bands[band] += error, 1
        if worker() == 0 and ((step + 1) % SAVE_EVERY == 0 or step + 1 == steps):
            by_band = " ".join(f"{total / max(n, 1):.4f}" for total, n in bands)
            print(f"{name} {step + 1}/{steps} v-loss by quarter of t {by_band}, "
                  f"{time.monotonic() - started:.0f} s", flush=True)  # fmt: skip
            bands[:] = 0
            save(cache / f"{name}.pt", {"unet": unet.state_dict(), "ema": ema.module.state_dict(),
                 "optimizer": optimizer.state_dict(), "step": step + 1})  # fmt: skip
    _wait_for_all()
    return ema.module


def _times(count: int, step: int) -> torch.Tensor:
    """Timesteps (N,) spread over 0..999, so that every batch has high and low noise."""
    generator = torch.Generator().manual_seed(10_000_000 + step)
    whole = count * workers()
    offsets = torch.rand(whole, generator=generator)
    spread = ((torch.arange(whole) + offsets) / whole)[worker() :: workers()]
    return (1000 * (1 - (1 - spread) ** HIGH_NOISE)).long().clamp(0, 999)


def normalised(vae: AutoencoderKL) -> AutoencoderKL:
    """The autoencoder with its latents' mean and deviation baked into its two 1x1 convolutions."""
    rng = np.random.default_rng(5)
    scenes = [world.Scene(*each, background=ground) for each, ground in zip(
        world.all_combinations(), itertools.cycle(world.BACKGROUNDS), strict=False
    )]  # fmt: skip
    values = encode(vae, np.concatenate([world.draw_clip(scene, rng) for scene in scenes]))
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3))
    vae = copy.deepcopy(vae).cpu()
    with torch.no_grad():
        vae.quant_conv.weight[:8] /= std[:, None, None, None]
        vae.quant_conv.bias[:8] = (vae.quant_conv.bias[:8] - mean) / std
        vae.quant_conv.bias[8:] -= 2 * std.log()
        vae.post_quant_conv.bias += vae.post_quant_conv.weight[:, :, 0, 0] @ mean
        vae.post_quant_conv.weight *= std[None, :, None, None]
    return vae


def export(unet: UNetMotionModel, vae: AutoencoderKL, words: Words, folder: Path) -> dict[str, Any]:
    """Write the pipeline to `folder` in fp16 safetensors; returns its size in bytes."""
    from diffusers import AnimateDiffPipeline

    pipeline = AnimateDiffPipeline(
        vae=vae, text_encoder=words.encoder, tokenizer=words.tokenizer,
        unet=unet, motion_adapter=None, scheduler=build_scheduler(),
    )  # fmt: skip
    for name in ("vae", "text_encoder", "unet"):
        setattr(pipeline, name, copy.deepcopy(getattr(pipeline, name)).half())
    pipeline.save_pretrained(folder, safe_serialization=True)
    return {"bytes": sum(f.stat().st_size for f in folder.rglob("*.safetensors"))}

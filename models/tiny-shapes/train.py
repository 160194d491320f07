"""Train tiny-shapes from nothing: `python train.py [CACHE]`.

Autoencoder, words, frames, clips, in this order; each phase resumes where it stopped. With
`--from-model FOLDER` only the clips are trained, from the weights of an exported model. A CUDA
device is used where there is one. On a CPU, one process a core is faster for the last two phases:

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 train.py [CACHE]
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from diffusers import AnimateDiffPipeline, AutoencoderKL, UNetMotionModel
from torch import distributed
from train_motion import (
    CLIP_STEPS,
    Words,
    export,
    normalised,
    train_clips,
    train_frames,
    worker,
)
from train_text import train_text
from train_vae import train_vae, vae_gate

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Start:
    """What the last phase begins with."""

    vae: AutoencoderKL
    words: Words
    unet: UNetMotionModel


def from_nothing(cache: Path, device: torch.device) -> Start:
    """The first three phases; worker 0 does those that can't be shared, the others wait."""
    if worker() == 0:
        vae = train_vae(cache, device).eval()
        print("vae gate", vae_gate(vae, device), flush=True)
        train_text(cache)
    if distributed.is_initialized():
        distributed.barrier()
    vae = normalised(train_vae(cache, device).eval()).to(device)
    words = Words(*train_text(cache))
    return Start(vae, words, train_frames(vae, words, cache, device))


def from_model(folder: Path, cache: Path, device: torch.device) -> Start:
    """An exported model, whose autoencoder and words stay as they are."""
    pipeline = AnimateDiffPipeline.from_pretrained(folder, dtype=torch.float32)
    vae = pipeline.vae.to(device).eval()
    words = Words(pipeline.tokenizer, pipeline.text_encoder.requires_grad_(False).eval())
    return Start(vae, words, pipeline.unet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "cache", type=Path, nargs="?", default=Path.home() / ".cache" / "tiny-shapes"
    )
    parser.add_argument("--from-model", type=Path, help="an exported model to begin with")
    parser.add_argument("--clip-steps", type=int, default=CLIP_STEPS)
    parser.add_argument("--output", type=Path, default=HERE, help="where the model goes")
    chosen = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo", timeout=timedelta(hours=4))
    if chosen.from_model:
        start = from_model(chosen.from_model, chosen.cache, device)
    else:
        start = from_nothing(chosen.cache, device)
    unet = train_clips(start.unet, chosen.clip_steps, start.vae, start.words, chosen.cache, device)
    if worker() == 0:
        print(export(unet.cpu(), start.vae.cpu(), start.words, chosen.output), flush=True)


if __name__ == "__main__":
    main()

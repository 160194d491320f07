"""Train tiny-shapes from nothing: `python train.py [CACHE]`.

Autoencoder, words, frames, clips, in this order; each phase resumes where it stopped. A CUDA
device is used where there is one. On a CPU, one process a core is faster for the last two phases:

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 train.py [CACHE]
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed
from train_motion import Words, cache_latents, export, train_motion, worker
from train_text import train_text
from train_vae import train_vae, vae_gate

HERE = Path(__file__).parent


def main() -> None:
    cache = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / ".cache" / "tiny-shapes"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo", timeout=timedelta(hours=4))
    if worker() == 0:
        vae = train_vae(cache, device).eval()
        print("vae gate", vae_gate(vae, device), flush=True)
        train_text(cache)
        cache_latents(vae, cache, device)
    if distributed.is_initialized():
        distributed.barrier()
    vae = train_vae(cache, device).eval()
    words = Words(*train_text(cache))
    latents = cache_latents(vae, cache, device)
    train_motion(latents, words, cache, device, clips=False)
    unet = train_motion(latents, words, cache, device, clips=True)
    if worker() == 0:
        print(export(unet.cpu(), vae.cpu(), latents, words, HERE), flush=True)


if __name__ == "__main__":
    main()

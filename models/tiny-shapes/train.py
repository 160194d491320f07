"""Train tiny-shapes from nothing: `python train.py [CACHE]`.

Autoencoder, words, frames, clips, in this order; each phase resumes where it stopped. On two CPU
cores it takes about two hours; a CUDA device is used where there is one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from train_motion import Words, cache_latents, export, train_motion
from train_text import train_text
from train_vae import train_vae, vae_gate

HERE = Path(__file__).parent


def main() -> None:
    cache = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / ".cache" / "tiny-shapes"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vae = train_vae(cache, device).eval()
    print("vae gate", vae_gate(vae, device), flush=True)
    words = Words(*train_text(cache))
    latents = cache_latents(vae, cache, device)
    train_motion(latents, words, cache, device, clips=False)
    unet = train_motion(latents, words, cache, device, clips=True)
    print(export(unet.cpu(), vae.cpu(), latents, words, HERE), flush=True)


if __name__ == "__main__":
    main()

"""The memory formulas beside what the very classes need: the most bytes alive in one call.

Real configurations at real sizes on torch's meta device, which holds nothing; denoisers with few
layers, since activations do not add up over layers. Two classes look at values as they run: those
run on the CPU, narrow and small. A minute or two; about a quarter of an hour with `--tiled`.

    python -m benchmarks.memory_formula [--tiled]
"""

import argparse
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from t2v_api.activations import (
    DECODERS,
    DENOISERS,
    decoder_channels,
    decoder_kind,
    denoiser_widths,
    patch,
)
from t2v_api.encoding import ENCODERS, encoder_channels, encoding_number_bytes
from t2v_api.memory import in_gib

from benchmarks.live_bytes import peak_bytes
from tests.runner.real_models import REAL_MODELS, Part, RealModel

FEW_LAYERS = {"num_layers": 2}
NARROW: dict[str, dict[str, Any]] = {
    "MochiTransformer3DModel": {"num_attention_heads": 4, "attention_head_dim": 64},
    "HunyuanVideo15Transformer3DModel": {"num_attention_heads": 4},
}
"""Classes that need values, at widths that a CPU bears."""
NARROW_SIZES = ((256, 256, 25), (512, 256, 25))


@dataclass(frozen=True)
class Measured:
    """One call: what it needed, what the formula says."""

    what: str
    width: int
    height: int
    frames: int
    measured: int
    formula: int

    @property
    def ratio(self) -> float:
        return self.formula / self.measured


def denoisers(model: RealModel) -> Iterator[Measured]:
    """Calls of the model's denoiser, with and without guidance, at half and full size."""
    name = "unet" if "unet" in model.parts else "transformer"
    part = model.parts[name]
    kind = part.name
    device = "cpu" if kind in NARROW else "meta"
    network = _few_layers(part, device)
    hidden, feed_forward = denoiser_widths(kind, network.config)
    law = DENOISERS[kind]
    vae = DECODERS[_decoder_kind(model)]
    pixels, frames = patch(network.config)
    for width, height, count in NARROW_SIZES if kind in NARROW else _sizes(model):
        latents = ((count - 1) // vae.temporal + 1, height // vae.spatial, width // vae.spatial)
        tokens = -(-latents[0] // frames) * (latents[1] // pixels) * (latents[2] // pixels)
        for is_guided in (False, True):
            batch = 2 if is_guided and law.is_batched else 1
            inputs = _inputs(kind, network.config, latents, batch, device)
            yield Measured(
                f"{kind}, {'guided' if is_guided else 'not guided'}",
                width,
                height,
                count,
                peak_bytes(lambda inputs=inputs: network(**inputs)),
                law.bytes_for(tokens, hidden, feed_forward, is_guided),
            )


def decoders(model: RealModel, is_tiled: bool) -> Iterator[Measured]:
    """Decoding at half and full size, and with half of the frames."""
    part = model.parts["vae"]
    kind = _decoder_kind(model)
    law = DECODERS[kind]
    dtypes = model.dtypes()
    dtype = dtypes.get("vae", dtypes["default"])
    vae: Any = part.build().to(dtype)
    if is_tiled:
        vae.enable_tiling()
    for width, height, count in _sizes(model):
        at_once = 1 if is_tiled and law.frames_at_once else min(count, law.frames_at_once or count)
        latents = _latents(part.name, vae.config, law, (width, height, at_once), dtype)
        yield Measured(
            f"{kind}{', tiled' if is_tiled else ''}",
            width,
            height,
            count,
            peak_bytes(lambda latents=latents: _decode(part.name, vae, latents)),
            law.bytes_for(
                width,
                height,
                count,
                decoder_channels(kind, vae.config),
                dtype.itemsize,
                is_tiled,
            ),
        )


def encoders(model: RealModel, is_tiled: bool) -> Iterator[Measured]:
    """Encoding an image, and videos at half and full size and with half of the frames."""
    kind = _decoder_kind(model)
    law = ENCODERS.get(kind)
    if law is None:
        return
    dtypes = model.dtypes()
    dtype = dtypes.get("vae", dtypes["default"])
    vae: Any = model.parts["vae"].build()
    if encoding_number_bytes(kind, vae.config, dtype.itemsize) == torch.float32.itemsize:
        dtype = torch.float32
    vae.to(dtype)
    if is_tiled:
        vae.enable_tiling()
    for width, height, count in ((model.width, model.height, 1), *_sizes(model)):
        at_once = count
        if law.takes_images:
            at_once = 1 if is_tiled else min(count, law.frames_at_once or count)
        yield Measured(
            f"encoding, {kind}{', tiled' if is_tiled else ''}",
            width,
            height,
            count,
            peak_bytes(partial(_encode, vae, dtype, (width, height, at_once))),
            law.bytes_for(
                width, height, count, encoder_channels(vae.config), dtype.itemsize, is_tiled
            ),
        )


def _sizes(model: RealModel) -> Iterator[tuple[int, int, int]]:
    yield model.width // 128 * 64, model.height // 128 * 64, model.num_frames
    yield model.width, model.height, model.num_frames
    half = (model.num_frames - 1) // 2 // 24 * 24 + 1
    if half > 1:
        yield model.width, model.height, half


def _few_layers(part: Part, device: str) -> Any:
    layers = FEW_LAYERS if "Transformer" in part.name else {}
    if part.name == "HunyuanVideoTransformer3DModel":
        layers = layers | {"num_single_layers": 2}
    few = Part(part.name, {**part.config, **layers, **NARROW.get(part.name, {})}, part.source)
    network = few.build().to(torch.bfloat16)
    return network if device == "meta" else network.to_empty(device=device)


def _decoder_kind(model: RealModel) -> str:
    part, denoiser = model.parts["vae"], model.parts.get("unet")
    return decoder_kind(part.name, part.config, denoiser.name if denoiser else "")


def _latents(name: str, config: Any, law: Any, size: tuple[int, int, int], dtype: Any) -> Any:
    width, height, frames = size
    channels = config.get("z_dim") or config["latent_channels"]
    plane = (height // law.spatial, width // law.spatial)
    if name == "AutoencoderKL":
        return torch.zeros(frames, channels, *plane, dtype=dtype, device="meta")
    count = (frames - 1) // law.temporal + 1
    return torch.zeros(1, channels, count, *plane, dtype=dtype, device="meta")


def _decode(name: str, vae: Any, latents: Any) -> Any:
    if name.startswith("AutoencoderKLLTX"):
        timestep = latents.new_zeros(1) if vae.config.timestep_conditioning else None
        return vae.decode(latents, timestep, return_dict=False)[0].float()
    return vae.decode(latents, return_dict=False)[0].float()


def _encode(vae: Any, dtype: Any, size: tuple[int, int, int]) -> Any:
    """From the frames as they come to the GPU."""
    width, height, frames = size
    is_of_images = type(vae).__name__ == "AutoencoderKL"
    shape = (frames, 3, height, width) if is_of_images else (1, 3, frames, height, width)
    return vae.encode(torch.zeros(*shape, dtype=dtype, device="meta")).latent_dist.mode()


def _inputs(
    kind: str, config: Any, latents: tuple[int, int, int], batch: int, device: str
) -> dict[str, Any]:
    """The arguments of a call, as the pipeline of that class makes them."""

    def zeros(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
        return torch.zeros(*shape, dtype=dtype, device=device)

    frames, height, width = latents
    channels = config.in_channels
    tokens = frames * height * width
    timestep = zeros(batch)
    volume = {"hidden_states": zeros(batch, channels, *latents), "timestep": timestep}
    match kind:
        case "WanTransformer3DModel":
            return {**volume, "encoder_hidden_states": zeros(batch, 512, config.text_dim)}
        case "CogVideoXTransformer3DModel":
            table = zeros(tokens // 4, config.attention_head_dim, dtype=torch.float32)
            return {
                "hidden_states": zeros(batch, frames, channels, height, width),
                "timestep": timestep,
                "encoder_hidden_states": zeros(batch, 226, config.text_embed_dim),
                "image_rotary_emb": (table, table)
                if config.use_rotary_positional_embeddings
                else None,
            }
        case "LTXVideoTransformer3DModel":
            return {
                "hidden_states": zeros(batch, tokens, channels),
                "timestep": timestep,
                "encoder_hidden_states": zeros(batch, 128, config.caption_channels),
                "encoder_attention_mask": zeros(batch, 128),
                "num_frames": frames,
                "height": height,
                "width": width,
            }
        case "LTX2VideoTransformer3DModel":
            sound = 8 * frames
            return {
                "hidden_states": zeros(batch, tokens, channels),
                "audio_hidden_states": zeros(batch, sound, config.audio_in_channels),
                "encoder_hidden_states": zeros(batch, 1024, config.caption_channels),
                "audio_encoder_hidden_states": zeros(batch, 1024, config.caption_channels),
                "timestep": timestep,
                "encoder_attention_mask": zeros(batch, 1024),
                "audio_encoder_attention_mask": zeros(batch, 1024),
                "num_frames": frames,
                "height": height,
                "width": width,
                "audio_num_frames": sound,
            }
        case "HunyuanVideoTransformer3DModel":
            return {
                **volume,
                "encoder_hidden_states": zeros(batch, 256, config.text_embed_dim),
                "encoder_attention_mask": zeros(batch, 256),
                "pooled_projections": zeros(batch, config.pooled_projection_dim),
                "guidance": timestep,
            }
        case "HunyuanVideo15Transformer3DModel":
            return {
                **volume,
                "encoder_hidden_states": zeros(batch, 1000, config.text_embed_dim),
                "encoder_attention_mask": zeros(batch, 1000),
                "encoder_hidden_states_2": zeros(batch, 256, config.text_embed_2_dim),
                "encoder_attention_mask_2": zeros(batch, 256),
                "image_embeds": zeros(batch, 729, config.image_embed_dim),
            }
        case "MochiTransformer3DModel":
            return {
                **volume,
                "encoder_hidden_states": zeros(batch, 256, config.text_embed_dim),
                "encoder_attention_mask": zeros(batch, 256, dtype=torch.bool) | True,
            }
        case "LatteTransformer3DModel":
            return {**volume, "encoder_hidden_states": zeros(batch, 120, config.caption_channels)}
    prompts = batch * frames if kind == "UNetMotionModel" else batch
    return {
        "sample": zeros(batch, channels, *latents),
        "timestep": timestep[:1],
        "encoder_hidden_states": zeros(prompts, 77, config.cross_attention_dim),
    }


def main() -> None:
    """A table as docs/performance.md has it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiled", action="store_true", help="tiles, too: slow")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| model | what | size | measured | formula | ratio |\n|---|---|---|---|---|---|")
    seen: set[int] = set()
    misfit = False
    for model in REAL_MODELS:
        cases = [denoisers(model)]
        if id(model.parts["vae"]) not in seen:
            seen.add(id(model.parts["vae"]))
            for is_tiled in (False, True)[: 1 + options.tiled]:
                cases += [decoders(model, is_tiled), encoders(model, is_tiled)]
        for each in (each for case in cases for each in case):
            misfit |= not 1 <= each.ratio <= 1.5
            print(
                f"| {model.name} | {each.what} | {each.width}x{each.height}, {each.frames} frames "
                f"| {in_gib(each.measured)} | {in_gib(each.formula)} | {each.ratio:.2f} |",
                flush=True,
            )
    sys.exit(misfit)


if __name__ == "__main__":
    main()

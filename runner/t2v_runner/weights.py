"""Measure a model's folder by the headers of its safetensors files; no tensor is read.

python -m t2v_runner.weights FOLDER    # prints a model profile's `sizes`
"""

import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from t2v_api.activations import (
    DECODERS,
    DENOISERS,
    HALF,
    SINGLE,
    decoder_channels,
    decoder_kind,
    denoiser_widths,
    patch,
)
from t2v_api.reasons import EXIT_CODES
from t2v_api.sizes import (
    ComponentSize,
    DecoderShape,
    DenoiserShape,
    ModelSizes,
    Role,
    role_of,
)

from t2v_runner.errors import ModelNotLoadable
from t2v_runner.model import LIBRARIES, check_safetensors, read_json

NAMES = ("diffusion_pytorch_model", "model")
"""Of the files that diffusers and transformers load; others in a folder are variants."""
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
STORED = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
"""Bytes of whole numbers, which keep their width; all others have one."""
KEPT_IN_SINGLE: Mapping[str, tuple[str, ...]] = {
    "WanTransformer3DModel": ("time_embedder", "scale_shift_table", "norm1", "norm2", "norm3"),
}
"""Parts of names that a class keeps in float32 (its `_keep_in_fp32_modules`)."""
KEPT_IN_SINGLE_FROM_FLOAT16: Mapping[str, tuple[str, ...]] = {
    "T5EncoderModel": ("wo",),
    "UMT5EncoderModel": ("wo",),
}
"""The same where float16 is asked for; bfloat16 holds what these weights need."""
BLOCK = re.compile(r"^(\w+\.\d+)\.")
"""Blocks are the members of a module's own lists, as diffusers' group offloading takes them."""

Tensors = Mapping[str, Mapping[str, Any]]
"""A safetensors header: names with their "dtype" and "shape"."""


def measure(folder: Path) -> ModelSizes:
    """The sizes of the pipeline in `folder`. Raises ModelNotLoadable."""
    index = read_json(folder / "model_index.json")
    classes = {
        name: value[1]
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[0] in LIBRARIES
    }
    configs = {name: read_json(folder / name / "config.json") for name in _models(folder, classes)}
    try:
        tensors = {name: dict(_tensors(folder / name)) for name in configs}
        return sizes_of(classes, configs, tensors)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotLoadable(f"{folder}: its memory is not known: {error}") from None


def sizes_of(
    classes: Mapping[str, str],
    configs: Mapping[str, Mapping[str, Any]],
    tensors: Mapping[str, Tensors],
) -> ModelSizes:
    """The sizes of components by name: class, config.json, safetensors header."""
    denoiser = next((name for name in configs if role_of(name) is Role.DENOISER), None)
    if denoiser is None or "vae" not in configs:
        raise ValueError("it needs a transformer or unet, and a vae")
    kind = decoder_kind(classes["vae"], configs["vae"], classes[denoiser])
    is_float16 = _is_float16(classes[denoiser], configs[denoiser])
    return ModelSizes(
        components={
            name: _component(role_of(name), classes[name], tensors[name], is_float16)
            for name in configs
        },
        denoiser=_denoiser(classes[denoiser], configs[denoiser], kind),
        decoder=DecoderShape(kind=kind, channels=decoder_channels(kind, configs["vae"])),
    )


def _denoiser(name: str, config: Mapping[str, Any], decoder: str) -> DenoiserShape:
    if name not in DENOISERS or decoder not in DECODERS:
        raise ValueError(f"no measured law for {name} with {decoder}")
    hidden, feed_forward = denoiser_widths(name, config)
    pixels, frames = patch(config)
    vae = DECODERS[decoder]
    return DenoiserShape(
        kind=name,
        hidden=hidden,
        feed_forward=feed_forward,
        pixels=pixels * vae.spatial,
        frames=frames * vae.temporal,
    )


def _is_float16(denoiser: str, config: Mapping[str, Any]) -> bool:
    """Stable Diffusion's kin and CogVideoX-2b were trained in float16."""
    if denoiser.startswith("UNet"):
        return True
    is_cogvideox = denoiser == "CogVideoXTransformer3DModel"
    return is_cogvideox and not config["use_rotary_positional_embeddings"]


def _component(role: Role, name: str, tensors: Tensors, is_float16: bool) -> ComponentSize:
    kept = KEPT_IN_SINGLE.get(name, ())
    if is_float16:
        kept += KEPT_IN_SINGLE_FROM_FLOAT16.get(name, ())
    number = SINGLE if name == "AutoencoderKLWan" else HALF
    blocks: dict[str, int] = defaultdict(int)
    total = outside = largest = 0
    for tensor, entry in tensors.items():
        is_kept = not set(tensor.split(".")).isdisjoint(kept)
        count = _bytes(entry, SINGLE if is_kept else number)
        total += count
        largest = max(largest, count)
        if match := BLOCK.match(tensor):
            blocks[match[1]] += count
        else:
            outside += count
    if role is Role.TEXT_ENCODER:
        # Its lists are deeper down: it is moved layer by layer, one of them the largest tensor.
        return ComponentSize(weights=total, largest_block=largest)
    if role is Role.DENOISER and blocks:
        return ComponentSize(
            weights=total, largest_block=max(blocks.values()), outside_blocks=outside
        )
    return ComponentSize(weights=total)


def _bytes(entry: Mapping[str, Any], number: int) -> int:
    width = number if entry["dtype"] in FLOATS else STORED.get(entry["dtype"], 1)
    count: int = math.prod(entry["shape"])
    return count * width


def _models(folder: Path, classes: Mapping[str, str]) -> Iterator[str]:
    return (name for name in classes if (folder / name / "config.json").exists())


def _tensors(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for file in _files(folder):
        yield from check_safetensors(file).items()


def _files(folder: Path) -> list[Path]:
    """The files that are loaded, not their variants in other precisions."""
    for name in NAMES:
        if (whole := folder / f"{name}.safetensors").exists():
            return [whole]
        if (index := folder / f"{name}.safetensors.index.json").exists():
            return [folder / each for each in sorted(set(read_json(index)["weight_map"].values()))]
    expected = " or ".join(f"{name}.safetensors" for name in NAMES)
    raise ModelNotLoadable(f"{folder}: no weights: expected {expected}")


if __name__ == "__main__":
    try:
        print(measure(Path(sys.argv[1])).json_line())  # noqa: T201
    except ModelNotLoadable as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_CODES[refusal.reason]) from None

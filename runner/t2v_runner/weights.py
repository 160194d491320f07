"""Measure a model's folder by the headers of its safetensors files; no tensor is read.

python -m t2v_runner.weights FOLDER [MOTION_ADAPTER]    # prints a model profile's `sizes`
"""

import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.activations import (
    DECODERS,
    DENOISERS,
    SINGLE,
    decoder_channels,
    decoder_kind,
    denoiser_widths,
    patch,
)
from t2v_api.encoding import ENCODERS, encoder_channels, encoding_number_bytes
from t2v_api.family import ModelFamily
from t2v_api.reasons import EXIT_CODES
from t2v_api.sizes import (
    ComponentSize,
    DecoderShape,
    DenoiserShape,
    EncoderShape,
    ModelSizes,
    Role,
    role_of,
)

from t2v_runner.errors import ModelNotLoadable
from t2v_runner.families import adapter_of
from t2v_runner.model import LIBRARIES, check_safetensors, read_json

if TYPE_CHECKING:
    import torch

NAMES = ("diffusion_pytorch_model", "model")
"""Of the files that diffusers and transformers load; others in a folder are variants."""
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
STORED = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
"""Bytes of whole numbers, which keep their width; all others have one."""
DOUBLE = 8
KEPT_IN_SINGLE: Mapping[str, tuple[str, ...]] = {
    "WanTransformer3DModel": ("time_embedder", "scale_shift_table", "norm1", "norm2", "norm3"),
}
"""Parts of names that a class keeps in float32 (its `_keep_in_fp32_modules`)."""
KEPT_IN_SINGLE_FROM_FLOAT16: Mapping[str, tuple[str, ...]] = {
    "T5EncoderModel": ("wo",),
    "UMT5EncoderModel": ("wo",),
}
"""The same where float16 is asked for; bfloat16 holds what these weights need."""
BLOCK = re.compile(r"(\w+\.\d+)\.")
"""Blocks are the members of a module's own lists, as diffusers' group offloading takes them."""
LAYER = re.compile(r"(.+)\.")
"""Layers are what owns tensors, as its leaf level takes them."""
IN_MOTION = {"unet": "UNetMotionModel", "motion_adapter": "MotionAdapter"}
"""Classes of what a motion adapter makes of a Stable Diffusion model."""

Tensors = Mapping[str, Mapping[str, Any]]
"""A safetensors header: names with their "dtype" and "shape"."""


def measure(folder: Path, dtype: "torch.dtype", motion_adapter: Path | None = None) -> ModelSizes:
    """The sizes of the pipeline in `folder`, set in motion by the adapter in that folder.

    As it is loaded for a device whose number format is `dtype`. Raises ModelNotLoadable.
    """
    index = read_json(folder / "model_index.json")
    classes = {
        name: value[1]
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[0] in LIBRARIES
    }
    folders = {name: folder / name for name in _models(folder, classes)}
    try:
        dtypes = adapter_of(family_of(index.get("_class_name", ""))).dtypes(folder, dtype)
        configs = {name: read_json(each / "config.json") for name, each in folders.items()}
        tensors = {name: dict(_tensors(each)) for name, each in folders.items()}
        if motion_adapter:
            classes |= IN_MOTION
            configs["motion_adapter"] = read_json(motion_adapter / "config.json")
            tensors["motion_adapter"] = dict(_tensors(motion_adapter))
            # The pipeline keeps the adapter, too, beside the modules that it has made of it.
            tensors["unet"] |= tensors["motion_adapter"]
        return sizes_of(classes, configs, tensors, dtypes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotLoadable(f"{folder}: its memory is not known: {error}") from None


def family_of(pipeline: str) -> ModelFamily:
    """The family whose pipelines have that name in model_index.json. Raises ValueError."""
    for family in ModelFamily:
        if pipeline in (*family.traits.index_names, family.traits.base_model):
            return family
    raise ValueError(f"no family has the pipeline {pipeline!r}")


def sizes_of(
    classes: Mapping[str, str],
    configs: Mapping[str, Mapping[str, Any]],
    tensors: Mapping[str, Tensors],
    dtypes: "Mapping[str, torch.dtype]",
) -> ModelSizes:
    """The sizes of components by name: class, config.json, safetensors header.

    `dtypes` are an adapter's: what each is loaded as, or "default".
    """
    denoiser = next((name for name in configs if role_of(name) is Role.DENOISER), None)
    if denoiser is None or "vae" not in configs:
        raise ValueError("it needs a transformer or unet, and a vae")
    loaded = {name: dtypes.get(name, dtypes["default"]) for name in configs}
    vae, number_bytes = configs["vae"], loaded["vae"].itemsize
    kind = decoder_kind(classes["vae"], vae, classes[denoiser])
    return ModelSizes(
        components={
            name: _component(role_of(name), classes[name], config, tensors[name], loaded[name])
            for name, config in configs.items()
        },
        denoiser=_denoiser(classes[denoiser], configs[denoiser], kind),
        decoder=DecoderShape(
            kind=kind, channels=decoder_channels(kind, vae), number_bytes=number_bytes
        ),
        encoder=_encoder(kind, vae, number_bytes),
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


def _encoder(kind: str, config: Mapping[str, Any], number_bytes: int) -> EncoderShape | None:
    if kind not in ENCODERS:
        return None
    return EncoderShape(
        kind=kind,
        channels=encoder_channels(config),
        number_bytes=encoding_number_bytes(kind, config, number_bytes),
    )


def _component(
    role: Role, name: str, config: Mapping[str, Any], tensors: Tensors, dtype: "torch.dtype"
) -> ComponentSize:
    bytes_of = {tensor: _bytes(tensor, entry, name, dtype) for tensor, entry in tensors.items()}
    if name == "CogVideoXTransformer3DModel":
        bytes_of |= _places(config)
    total = sum(bytes_of.values())
    if role is Role.TEXT_ENCODER:
        # Its lists are deeper down: it is moved layer by layer, each with the tensors of its own.
        return _streamed(total, _grouped(bytes_of, LAYER))
    if role is Role.DENOISER:
        return _streamed(total, _grouped(bytes_of, BLOCK))
    return ComponentSize(weights=total)


def _streamed(total: int, blocks: Mapping[str, int]) -> ComponentSize:
    largest, following, *_ = [*sorted(blocks.values(), reverse=True), 0, 0]
    return ComponentSize(
        weights=total,
        largest_block=largest,
        next_block=following,
        outside_blocks=total - sum(blocks.values()),
    )


def _grouped(bytes_of: Mapping[str, int], group: re.Pattern[str]) -> dict[str, int]:
    """Bytes of each group that tensors' names begin with; what is in none is left out."""
    found: dict[str, int] = defaultdict(int)
    for tensor, count in bytes_of.items():
        if match := group.match(tensor):
            found[match[1]] += count
    return found


def _places(config: Mapping[str, Any]) -> dict[str, int]:
    """The one large table that is in no file: CogVideoX-2b computes its places, in float64."""
    if config["use_rotary_positional_embeddings"] or config["use_learned_positional_embeddings"]:
        return {}
    side, compression = config["patch_size"], config["temporal_compression_ratio"]
    frames = (config["sample_frames"] - 1) // compression + 1
    tokens = config["sample_height"] // side * (config["sample_width"] // side) * frames
    hidden, _ = denoiser_widths("CogVideoXTransformer3DModel", config)
    rows = config["max_text_seq_length"] + tokens
    return {"patch_embed.pos_embedding": rows * hidden * DOUBLE}


def _bytes(tensor: str, entry: Mapping[str, Any], name: str, dtype: "torch.dtype") -> int:
    count: int = math.prod(entry["shape"])
    if entry["dtype"] not in FLOATS:
        return count * STORED.get(entry["dtype"], 1)
    is_kept = not set(tensor.split(".")).isdisjoint(_kept_in_single(name, dtype))
    return count * (SINGLE if is_kept else dtype.itemsize)


def _kept_in_single(name: str, dtype: "torch.dtype") -> tuple[str, ...]:
    import torch

    kept = KEPT_IN_SINGLE.get(name, ())
    return kept + (KEPT_IN_SINGLE_FROM_FLOAT16.get(name, ()) if dtype is torch.float16 else ())


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


def main(folder: str, *motion_adapter: str) -> None:
    """As it would be loaded for a GPU."""
    import torch

    print(measure(Path(folder), torch.bfloat16, *map(Path, motion_adapter)).json_line())  # noqa: T201


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ModelNotLoadable as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_CODES[refusal.reason]) from None

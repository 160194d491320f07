"""Rewrite a model's float32 weights in the number format that they are loaded in.

Only what loading would narrow is narrowed, and as loading does it: what is loaded then is the same,
bit by bit, in that format. Memory stays small, whatever the size of a tensor. Knows no families.
"""

import importlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from t2v_runner.hub.place import bytes_below, files_below

if TYPE_CHECKING:
    import torch

PIECE_BYTES = 64 * 2**20
FORMATS = ("bf16", "fp16")
"""As hubs name variants; the folder of a converted model has its name's end from here."""
SINGLE, HALVES = "F32", {"bf16": "BF16", "fp16": "F16"}
"""As safetensors names them."""
SINGLE_BYTES, HALF_BYTES = 4, 2

MayGoOn = Callable[[], None]
"""Raises, where it shall end."""
Header = dict[str, Any]


@dataclass(frozen=True)
class Narrowing:
    """What becomes of a file's tensors."""

    form: str
    kept: frozenset[str]
    """Tensors whose names have one of these in them stay in float32."""

    def is_of(self, name: str, entry: Header) -> bool:
        return entry["dtype"] == SINGLE and not any(part in name for part in self.kept)


@dataclass(frozen=True)
class Conversion:
    """What becomes of a model's folder."""

    folder: Path
    name: str
    """The format that most is converted to."""
    narrowed: Mapping[Path, Narrowing]
    """What is done to files of weights."""

    @property
    def bytes(self) -> int:
        """Of all files afterwards, about."""
        return bytes_below(self.folder) - sum(
            _length(entry) // 2
            for file, narrowing in self.narrowed.items()
            for name, entry in _tensors(_read_header(file)[0])
            if narrowing.is_of(name, entry)
        )

    def write(self, target: Path, may_go_on: MayGoOn) -> None:
        """Put the converted model into the folder `target`. Raises OSError."""
        for file in files_below(self.folder):
            copy = target / file.relative_to(self.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            may_go_on()
            if file in self.narrowed:
                _rewrite(file, copy, self.narrowed[file], may_go_on)
            else:
                shutil.copyfile(file, copy)
        for index in target.rglob("*.safetensors.index.json"):
            _say_total_size(index)


def conversion_of(folder: Path, dtypes: "Mapping[str, torch.dtype]") -> Conversion | None:
    """What converts the model in `folder` to its components' `dtypes`; None where nothing would be.

    It is a pipeline, or one component. Its files have been checked.
    """
    narrowed = {}
    for component, library, class_name in _components(folder):
        dtype = dtypes.get(component.name, dtypes["default"])
        form = _format(dtype)
        if form is None:
            continue
        narrowing = Narrowing(form, _kept_in_single(library, class_name, component, dtype))
        for file in component.glob("*.safetensors"):
            if any(narrowing.is_of(*each) for each in _tensors(_read_header(file)[0])):
                narrowed[file] = narrowing
    if not narrowed:
        return None
    return Conversion(folder, _format(dtypes["default"]) or FORMATS[0], narrowed)


def _components(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Their folders, libraries and classes."""
    index = folder / "model_index.json"
    if not index.exists():
        yield folder, "diffusers", _read(folder / "config.json")["_class_name"]
        return
    for name, value in _read(index).items():
        if isinstance(value, list) and value[0] and (folder / name / "config.json").exists():
            yield folder / name, *value


def _format(dtype: "torch.dtype") -> str | None:
    import torch

    return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype)


def _kept_in_single(
    library: str, class_name: str, folder: Path, dtype: "torch.dtype"
) -> frozenset[str]:
    """Parts of the names of tensors that loading keeps in float32, whatever is asked for.

    Source: `ModelMixin.from_pretrained` of diffusers, `PreTrainedModel._get_dtype_plan` of
    transformers, where a model also has what its parts keep.
    """
    import torch

    if library != "transformers":
        room = "diffusers" if library == "diffusers" else f"diffusers.pipelines.{library}"
        kind = getattr(importlib.import_module(room), class_name)
        return frozenset(kind._keep_in_fp32_modules or ())
    kind = getattr(importlib.import_module("transformers"), class_name)
    with torch.device("meta"):
        model = kind(kind.config_class.from_pretrained(str(folder), local_files_only=True))
    kept = set(model._keep_in_fp32_modules_strict)
    if dtype is torch.float16:
        kept |= set(model._keep_in_fp32_modules)
    return frozenset(kept)


def _rewrite(file: Path, copy: Path, narrowing: Narrowing, may_go_on: MayGoOn) -> None:
    header, start = _read_header(file)
    tensors = sorted(_tensors(header), key=lambda each: each[1]["data_offsets"][0])
    narrowed = {name for name, entry in tensors if narrowing.is_of(name, entry)}
    end = 0
    new: Header = {}
    if "__metadata__" in header:
        new["__metadata__"] = header["__metadata__"]
    for name, entry in tensors:
        length = _length(entry) // 2 if name in narrowed else _length(entry)
        dtype = HALVES[narrowing.form] if name in narrowed else entry["dtype"]
        new[name] = entry | {"dtype": dtype, "data_offsets": [end, end + length]}
        end += length
    with file.open("rb") as source, copy.open("wb") as stream:
        text = json.dumps(new, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        stream.write(struct.pack("<Q", len(text)) + text)
        for name, entry in tensors:
            source.seek(start + entry["data_offsets"][0])
            for piece in _pieces(source, _length(entry)):
                may_go_on()
                stream.write(_narrow(piece, narrowing.form) if name in narrowed else piece)
        stream.flush()
        os.fsync(stream.fileno())


def _narrow(piece: bytearray, form: str) -> memoryview:
    import torch

    dtype = torch.bfloat16 if form == "bf16" else torch.float16
    values = torch.frombuffer(piece, dtype=torch.float32).to(dtype)
    return values.view(torch.uint8).numpy().data


def _pieces(source: BinaryIO, length: int) -> Iterator[bytearray]:
    while length:
        piece = bytearray(min(length, PIECE_BYTES))
        source.readinto(piece)  # type: ignore[attr-defined]
        length -= len(piece)
        yield piece


def _say_total_size(index: Path) -> None:
    """An index says the bytes of all tensors of its shards."""
    document = _read(index)
    document["metadata"] = document.get("metadata", {}) | {
        "total_size": sum(
            _length(entry)
            for name in set(document["weight_map"].values())
            for _, entry in _tensors(_read_header(index.parent / name)[0])
        )
    }
    index.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _read_header(file: Path) -> tuple[Header, int]:
    """With where the tensors begin. Source: the safetensors format."""
    with file.open("rb") as stream:
        length: int = struct.unpack("<Q", stream.read(8))[0]
        return json.loads(stream.read(length)), 8 + length


def _tensors(header: Header) -> list[tuple[str, Header]]:
    return [(name, entry) for name, entry in header.items() if name != "__metadata__"]


def _length(entry: Header) -> int:
    start, end = entry["data_offsets"]
    return int(end - start)


def _read(path: Path) -> Header:
    document: Header = json.loads(path.read_text(encoding="utf-8"))
    return document

"""Find a model's files, check that they are whole and safe, load its pipeline.

Only safetensors and only diffusers's own classes: a model folder never brings code along.
"""

import json
import os
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from t2v_api.lora import AppliedLora
from t2v_api.profile import ModelProfile, ModelSource
from t2v_api.request import GenerationRequest

from t2v_runner.device import Device
from t2v_runner.errors import InitMediaNotSupported, ModelNotLoadable
from t2v_runner.families import adapter_of
from t2v_runner.families.animatediff import LEFT_OUT, set_in_motion
from t2v_runner.hub.listing import Document, HubFile, Listing
from t2v_runner.hub.needs import (
    ADAPTER_CONFIG,
    INDEX,
    PICKLE_SUFFIXES,
    WEIGHTS_NAMES,
    Choose,
    Need,
    Read,
    component_needs,
    components,
    known_library,
    lora_needs,
    pipeline_needs,
    shard_names,
)
from t2v_runner.hub.store import ModelStore
from t2v_runner.loras import LocatedLora, add_loras
from t2v_runner.out_of_memory import is_out_of_memory
from t2v_runner.schedulers.build import check_scheduler
from t2v_runner.tuning import tuned

MAX_HEADER_BYTES = 100_000_000
"""What the safetensors format allows."""
LIBRARIES = tuple(WEIGHTS_NAMES)
LORA_ALONE = "lora"
"""What is kept of a repository that has one LoRA."""
DORA = ("dora_scale", "lora_magnitude_vector")
"""Names of tensors that scale a layer's weights: more than a sum, and diffusers drops some."""


def locate_model(profile: ModelProfile, models_dir: Path, store: ModelStore | None = None) -> Path:
    """The model's folder; a hub model's is in `store`, which fetches it first.

    Raises ModelNotLoadable, StorageFailed.
    """

    def choose(listing: Listing, read: Read) -> tuple[Need, ...]:
        """What another family's is, is not fetched first."""

        def checked(file: HubFile) -> Document:
            document = read(file)
            if file.path == INDEX:
                _check_class(document, f"{listing}: {INDEX}", profile)
            return document

        return pipeline_needs(listing, checked, LEFT_OUT if profile.motion_adapter else ())

    folder = _locate(profile.source, models_dir, store, choose)
    check_model_folder(folder, profile)
    return folder


def locate_motion_adapter(
    profile: ModelProfile, models_dir: Path, store: ModelStore | None = None
) -> Path | None:
    """Its folder, where the profile has one; from the hub it comes as the model does.

    Raises ModelNotLoadable, StorageFailed.
    """
    if profile.motion_adapter is None:
        return None
    folder = _locate(profile.motion_adapter, models_dir, store, component_needs)
    name = _read_json(folder / "config.json", profile).get("_class_name")
    if name != "MotionAdapter":
        raise ModelNotLoadable(f"{folder / 'config.json'} is of {name!r}, not of 'MotionAdapter'")
    _check_component(folder)
    return folder


def weights_at_hand(profile: ModelProfile, models_dir: Path) -> list[Path]:
    """The files of a model in a folder or an image; of one from the hub none are known yet.

    Not those beside its components, nor those whose names say another precision.
    """
    adapter = profile.motion_adapter
    files = [
        *(_weights(models_dir / profile.source.folder, "*/") if profile.source.folder else ()),
        *(_weights(models_dir / adapter.folder, "") if adapter and adapter.folder else ()),
    ]
    return [file for file in files if "." not in file.stem]


def _weights(folder: Path, where: str) -> list[Path]:
    return sorted(folder.glob(f"{where}*.safetensors"))


def locate_loras(
    loras: Sequence[AppliedLora] | None, models_dir: Path, store: ModelStore
) -> tuple[LocatedLora, ...]:
    """Their files, whole and safe; from the hub they come as models do.

    Raises ModelNotLoadable, StorageFailed.
    """
    return tuple(LocatedLora(lora, _locate_lora(lora, models_dir, store)) for lora in loras or ())


def _locate_lora(lora: AppliedLora, models_dir: Path, store: ModelStore) -> Path:
    source = lora.source
    if source.path is None:
        choose = partial(lora_needs, file=source.file)
        folder = store.folder_of(source, choose, file=source.file or LORA_ALONE)
    else:
        folder = models_dir / source.path
    files = [folder / source.file] if source.file else sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files[:5]) or "none"
        raise ModelNotLoadable(
            f"LoRA {lora.name}: {folder} has not one .safetensors file, but {names}; its source "
            "can name one as `file`"
        )
    tensors = check_safetensors(files[0])
    if any(mark in name for name in tensors for mark in DORA):
        raise ModelNotLoadable(f"LoRA {lora.name}: {files[0]} is a DoRA, which is not supported")
    return files[0]


def _locate(
    source: ModelSource, models_dir: Path, store: ModelStore | None, choose: Choose
) -> Path:
    if source.folder is not None:
        return models_dir / source.folder
    assert store, "a hub model needs a store"
    return store.folder_of(source, choose)


def check_model_folder(folder: Path, profile: ModelProfile) -> None:
    """Whether `folder` holds a whole pipeline of the profile's family. Raises ModelNotLoadable."""
    index = _read_json(folder / INDEX, profile)
    _check_class(index, str(folder / INDEX), profile)
    for name, library, _ in components(index, str(folder)):
        if profile.motion_adapter and name in LEFT_OUT:
            continue
        known_library(name, library, str(folder))
        _check_component(folder / name)


def _check_class(index: Document, what: str, profile: ModelProfile) -> None:
    expected = profile.index_names
    if index.get("_class_name") not in expected:
        raise ModelNotLoadable(
            f"{what} names the pipeline {index.get('_class_name')!r}; "
            f"model {profile.id} is of family {profile.family} and needs "
            f"{' or '.join(map(repr, expected))}{_and_motion(profile)}"
        )


def _and_motion(profile: ModelProfile) -> str:
    if profile.motion_adapter:
        return " beside its motionAdapter"
    base = profile.family.traits.base_model
    return f", or {base!r} and a motionAdapter" if base else ""


def check_request(profile: ModelProfile, request: GenerationRequest) -> None:
    """Whether this model can draw it, as far as that is known before anything is loaded.

    Raises RequestRefused, SchedulerNotSupported, InitMediaNotSupported.
    """
    problem = profile.problem_with(request.start)
    if problem:
        raise InitMediaNotSupported(problem)
    check_scheduler(profile.family, request)


def load_pipeline(
    folder: Path,
    profile: ModelProfile,
    device: Device,
    motion_adapter: Path | None = None,
    given: Mapping[str, Any] = MappingProxyType({}),
    loras: Sequence[LocatedLora] = (),
) -> Any:
    """The diffusers pipeline of `folder`, on `device`.

    It is of the class that the folder's index names, with the folder's own scheduler: what a
    request needs is done to it for that request. A base model is set in motion by the adapter.
    Components that are `given` are not loaded, and stay where they are. `loras` are added to those
    that are.
    Weights go from their files straight to the device; on the CPU, in the format that they are
    stored in, they stay the files' own pages, which take no other memory.
    Raises ModelNotLoadable, RequestRefused.
    """
    # Files of one component side by side; diffusers reads this when it is imported.
    os.environ.setdefault("HF_ENABLE_PARALLEL_LOADING", "1")
    import diffusers
    import torch

    _be_quiet()
    class_name = _read_json(folder / INDEX, profile)["_class_name"]
    dtypes = adapter_of(profile.family).dtypes(folder, device.dtype)
    try:
        if motion_adapter:
            pipeline = set_in_motion(folder, motion_adapter, dtypes, device.name)
        else:
            pipeline = getattr(diffusers, class_name).from_pretrained(
                str(folder),
                dtype=dtypes,
                # By its kind: which of several GPUs it is, this process has said.
                device_map=torch.device(device.name).type,
                use_safetensors=True,
                local_files_only=True,
                **given,
            )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelNotLoadable(f"{folder}: {type(error).__name__}: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    add_loras(pipeline, loras, later=given)
    return tuned(pipeline, profile.execution, folder, device)


def _be_quiet() -> None:
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _read_json(path: Path, profile: ModelProfile) -> dict[str, Any]:
    if not path.exists():
        what = "no such folder" if not path.parent.is_dir() else f"no {path.name} in it"
        raise ModelNotLoadable(f"model {profile.id}: {path.parent}: {what}")
    return read_json(path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model's folder. Raises ModelNotLoadable."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelNotLoadable(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(value, dict):
        raise ModelNotLoadable(f"{path}: not a JSON object")
    return value


def _check_component(folder: Path) -> None:
    """A component that has a config.json is a model, and then it has whole safetensors."""
    if not folder.is_dir():
        raise ModelNotLoadable(f"{folder}: the pipeline's component is missing")
    if (folder / ADAPTER_CONFIG).exists():
        raise ModelNotLoadable(
            f"{folder}: {ADAPTER_CONFIG} would add other weights; remove it, or list them as a LoRA"
        )
    if not (folder / "config.json").exists():
        return
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = sorted(each.name for each in folder.iterdir() if each.suffix in PICKLE_SUFFIXES)
        what = (
            f"only pickle weights ({', '.join(pickles)}), which are never loaded; "
            "convert them to safetensors"
            if pickles
            else "no weights: expected a .safetensors file"
        )
        raise ModelNotLoadable(f"{folder}: {what}")
    for shards in sorted(folder.glob("*.safetensors.index*.json")):
        shard_names(read_json(shards), str(shards))
    for file in weights:
        check_safetensors(file)


def check_safetensors(file: Path) -> dict[str, Any]:
    """The tensors in the header of `file`, which has the length that it says, by name.

    Source: the safetensors format: 8 bytes header length, a JSON header, the tensors.
    Raises ModelNotLoadable.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(8)
            if len(start) < 8:
                raise ModelNotLoadable(f"{file}: truncated: {size} bytes are no safetensors file")
            length = struct.unpack("<Q", start)[0]
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise ModelNotLoadable(f"{file}: truncated or no safetensors file at all")
            header = json.loads(stream.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        ends = [entry["data_offsets"][1] for entry in tensors.values()]
    except OSError as error:
        raise ModelNotLoadable(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ModelNotLoadable(f"{file}: its safetensors header is broken") from None
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ModelNotLoadable(f"{file}: truncated: {size} bytes of {expected}")
    return tensors

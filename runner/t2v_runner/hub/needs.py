"""Which files of a repository diffusers loads, and under which names they are kept. No I/O.

A repository in diffusers format often has more: checkpoints of other programs at its root, the
weights once more as pickles, in half precision, in another number of shards.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from t2v_runner.errors import ModelNotLoadable
from t2v_runner.hub.listing import Document, HubFile, Listing

WEIGHTS_NAMES = {
    "diffusers": "diffusion_pytorch_model",
    "transformers": "model",
    "ltx2": "diffusion_pytorch_model",
}
"""What each library calls a component's weights. The last is a room of diffusers, by which indexes
name LTX-2's own parts."""
VARIANTS = (None, "bf16", "fp16")
"""The first that a component has is taken. Half precision is what half the repositories have
beside the default; bfloat16 has float32's range, which T5 needs."""
SETTINGS_SUFFIXES = (".json", ".txt", ".model", ".jinja")
"""Configurations, schedulers, tokenizers and their chat templates."""
NEEDED_SUFFIXES = (*SETTINGS_SUFFIXES, ".safetensors")
"""Of all files that can be needed."""
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
ADAPTER_CONFIG = "adapter_config.json"
"""Of an adapter in a model's own folder: transformers would load it, from wherever it says."""
MAX_FILE_BYTES = 50 * 10**9
"""Hubs serve no larger file by plain requests; huggingface_hub asks for none."""
INDEX = "model_index.json"
"""Says which pipeline it is, and which components it has."""
CONFIG = "config.json"
"""A component that has one is a model, with weights."""
WITHOUT_WEIGHTS = ("Tokenizer", "TokenizerFast", "Processor", "ProcessorFast", "Scheduler")
"""Ends of the names of classes that are no models. A config.json beside a tokenizer is that of the
model that it was copied from: it is not loaded."""

Read = Callable[[HubFile], Document]
"""The content of a small JSON file."""


@dataclass(frozen=True)
class Need:
    """A file that is needed."""

    file: HubFile
    name: str
    """Its path where it is kept. A variant's weights are kept under the default's names: then the
    libraries, which would have to be told, need not know of variants."""


Choose = Callable[[Listing, Read], tuple[Need, ...]]


def pipeline_needs(
    listing: Listing, read: Read, left_out: Collection[str] = ()
) -> tuple[Need, ...]:
    """The files of the pipeline, without the components that are `left_out`.

    Raises ModelNotLoadable.
    """
    index = listing.files.get(INDEX)
    if index is None:
        raise ModelNotLoadable(
            f"{listing}: there is no model_index.json at its root, so it is no diffusers pipeline; "
            "many models have a second repository for diffusers, named …-Diffusers or -diffusers"
        )
    needs = [Need(index, index.path)]
    for name, library, kind in components(read(index), str(listing)):
        if name not in left_out:
            known_library(name, library, str(listing))
            needs += _component(listing, name, library, kind, read)
    return _fetchable(listing, needs)


def component_needs(listing: Listing, read: Read) -> tuple[Need, ...]:
    """The files of a repository that is one diffusers model, such as a motion adapter.

    Raises ModelNotLoadable.
    """
    config = listing.files.get(CONFIG)
    if config is None:
        raise ModelNotLoadable(
            f"{listing}: there is no {CONFIG} at its root, so it is no diffusers model"
        )
    return _fetchable(listing, [Need(config, CONFIG), *_weights(listing, "", "diffusers", read)])


def components(index: Document, what: str) -> Iterator[tuple[str, str, str]]:
    """Names, libraries and classes of what a model_index.json has. `what` names it in messages.

    Raises ModelNotLoadable.
    """
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list):
            continue
        match value:
            case [None, *_]:
                continue
            case [str(library), str(kind)]:
                yield name, library, kind
            case _:
                raise ModelNotLoadable(
                    f"{what}: model_index.json has {value!r} for {name!r}, which is neither a "
                    "library and a class nor nothing: take a revision at which it is whole"
                )


def known_library(component: str, library: str, what: str) -> str:
    """Raises ModelNotLoadable where it would be a model's own code."""
    if library not in WEIGHTS_NAMES:
        raise ModelNotLoadable(
            f"{what}: component {component!r} wants the library {library!r}; "
            f"only {', '.join(WEIGHTS_NAMES)} are loaded, never a model's own code"
        )
    return library


def shard_names(index: Document, what: str) -> list[str]:
    """The files that an index of weights names, all of them safetensors.

    The libraries would load any other as a pickle. `what` names the index in messages. Raises
    ModelNotLoadable.
    """
    named = index.get("weight_map")
    if not isinstance(named, dict) or not named:
        raise ModelNotLoadable(f"{what} has no weight_map, so it names no weights")
    for name in named.values():
        if not isinstance(name, str):
            raise ModelNotLoadable(f"{what} names {name!r} where a file's name should be")
        if not name.endswith(".safetensors"):
            raise ModelNotLoadable(
                f"{what} names {name!r}, which is no .safetensors file, and nothing else is "
                "loaded: convert it, or take a repository with safetensors alone"
            )
    return sorted(set(named.values()))


def lora_needs(listing: Listing, read: Read, file: str | None = None) -> tuple[Need, ...]:
    """The one file of a LoRA: the one that is named, or the only one that it can be.

    Raises ModelNotLoadable.
    """
    safe = sorted(name for name in listing.files if name.endswith(".safetensors"))
    name = file or (safe[0] if len(safe) == 1 else None)
    if name not in safe:
        wanted = f"no {file}" if file else "not one .safetensors file"
        raise ModelNotLoadable(
            f"{listing}: {wanted}; there are {', '.join(safe[:5]) or 'none'}: name one as `file`"
        )
    return (Need(listing.files[name], name),)


def total_bytes(needs: Collection[Need]) -> int:
    return sum(need.file.size for need in needs)


def _component(
    listing: Listing, folder: str, library: str, kind: str, read: Read
) -> Iterator[Need]:
    files = listing.within(folder)
    if not files:
        raise ModelNotLoadable(
            f"{listing}: model_index.json names the component {folder!r}, and there is no such "
            "folder: take a repository that is whole"
        )
    is_model = CONFIG in files and not kind.endswith(WITHOUT_WEIGHTS)
    for name, file in files.items():
        if name == CONFIG and not is_model:
            continue
        is_setting = PurePosixPath(name).suffix in SETTINGS_SUFFIXES and name != ADAPTER_CONFIG
        if is_setting and ".index." not in name:
            yield Need(file, file.path)
    if is_model:
        yield from _weights(listing, folder, library, read)


def _weights(listing: Listing, folder: str, library: str, read: Read) -> Iterator[Need]:
    """One file, or the shards of one index: of two, the one that the library itself would take."""
    files = listing.within(folder)
    stem = WEIGHTS_NAMES[library]
    single, index = f"{stem}.safetensors", f"{stem}.safetensors.index.json"
    order = (single, index) if library == "transformers" else (index, single)
    for variant in VARIANTS:
        for name in order:
            file = files.get(_of_variant(name, variant))
            if file is None:
                continue
            yield Need(file, _within(folder, name))
            if name == index:
                yield from _shards(listing, folder, file, read)
            return
    raise ModelNotLoadable(f"{listing}: {folder or 'its root'}: {_why_none(files, single)}")


def _of_variant(name: str, variant: str | None) -> str:
    """`model.safetensors` → `model.fp16.safetensors`, as both libraries name variants."""
    if variant is None:
        return name
    stem, suffix = name.rsplit(".", 1)
    return f"{stem}.{variant}.{suffix}"


def kept_name(path: str) -> str:
    """Where a file is kept that is needed: without the variant in its name."""
    folder, _, name = path.rpartition("/")
    for variant in filter(None, VARIANTS):
        name = name.replace(f".{variant}.", ".")
    return _within(folder, name)


def _shards(listing: Listing, folder: str, index: HubFile, read: Read) -> Iterator[Need]:
    files = listing.within(folder)
    for name in shard_names(read(index), f"{listing}: {index.path}"):
        if name not in files:
            raise ModelNotLoadable(
                f"{listing}: {index.path} names {name!r}, and there is no such file beside it: "
                "take a commit at which the upload was whole"
            )
        yield Need(files[name], _within(folder, name))


def _fetchable(listing: Listing, needs: Sequence[Need]) -> tuple[Need, ...]:
    for need in needs:
        if need.file.size > MAX_FILE_BYTES:
            raise ModelNotLoadable(
                f"{listing}: {need.file.path} has {need.file.size / 1e9:.2f} GB, and a hub serves "
                f"none above {MAX_FILE_BYTES / 1e9:.0f} GB: take a repository with smaller shards, "
                "or put the model into a folder and name that as its source"
            )
    return tuple(needs)


def _why_none(files: Collection[str], expected: str) -> str:
    safe = sorted(name for name in files if name.endswith(".safetensors"))
    if safe:
        others = ", ".join(safe[:3])
        known = " and ".join(variant for variant in VARIANTS if variant)
        return f"no {expected}, nor its variants {known}; there are {others}"
    pickles = sorted(name for name in files if PurePosixPath(name).suffix in PICKLE_SUFFIXES)
    if pickles:
        return (
            f"only pickle weights ({', '.join(pickles[:3])}), which are never loaded; "
            "take a revision or a repository with safetensors, or convert them"
        )
    return f"no weights: expected {expected}"


def _within(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name

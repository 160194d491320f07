"""A checkpoint as a file: safetensors, with all that is no tensor in its header.

Whatever is not exactly what was written, or was written for anything else, is not used.
"""

import contextlib
import hashlib
import json
import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.delivery import CHECKPOINT_FILE, LARGEST

from t2v_runner.checkpoints.stepping import Snapshot

if TYPE_CHECKING:
    import torch

FORMAT = 1
"""Goes up when an older runner's checkpoint cannot be gone on from."""
RECORD = "t2v"
"""The name in the header's metadata."""

Circumstances = Mapping[str, str]
"""What has to be equal for the frames to be: the request, the model, the device, the libraries."""


class NotUsable(Exception):
    """This checkpoint is not to be gone on from; says why in a few words of ASCII."""


def write(snapshot: Snapshot, circumstances: Circumstances, part: Path, path: Path) -> None:
    """Write it as `part`, then give it its name. Raises OSError; then nothing is left of it."""
    from safetensors.torch import save

    tensors = {str(number): each for number, each in enumerate(snapshot.packed.tensors)}
    record = {
        "format": FORMAT,
        "circumstances": dict(circumstances),
        "step": snapshot.step,
        "isLast": snapshot.is_last,
        "tree": snapshot.packed.tree,
    }
    line = json.dumps(record, sort_keys=True, separators=(",", ":"))
    body = save(tensors, {RECORD: line, "sha256": _digest(line, tensors)})
    try:
        with part.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)  # the video needs the room
        raise


def read(path: Path, circumstances: Circumstances) -> Snapshot:
    """The snapshot in a file. Raises NotUsable, OSError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    from t2v_runner.checkpoints.packing import Packed

    body = _body(path)
    try:
        (length,) = struct.unpack("<Q", body[:8])
        metadata = json.loads(body[8 : 8 + length])["__metadata__"]
        line, sha256 = metadata[RECORD], metadata["sha256"]
        tensors = load(body)
        record = json.loads(line)
        if _digest(line, tensors) != sha256:
            raise NotUsable("it is damaged")
        _check(record, circumstances)
        numbered = [tensors[str(number)] for number in range(len(tensors))]
        step, tree, is_last = record["step"], record["tree"], record["isLast"]
        is_sound = isinstance(step, int) and step > 0 and isinstance(tree, dict)
    except (SafetensorError, struct.error, *_DAMAGE):
        raise NotUsable("it is damaged") from None
    if not is_sound or not isinstance(is_last, bool):
        raise NotUsable("it is damaged")
    return Snapshot(step, Packed(tree, numbered), is_last)


_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What comes of a header that anybody may have written: a volume has other writers."""


def _body(path: Path) -> bytes:
    """Raises NotUsable, OSError."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise NotUsable("it is no file")
    if found.st_size > LARGEST[CHECKPOINT_FILE]:
        raise NotUsable(f"it has {found.st_size} bytes")
    return path.read_bytes()


def _check(record: dict[str, Any], circumstances: Circumstances) -> None:
    """Raises NotUsable."""
    if record["format"] != FORMAT:
        raise NotUsable(f"its format is {record['format']}, this runner's is {FORMAT}")
    made = record["circumstances"]
    for name, value in circumstances.items():
        if made.get(name) != value:
            raise NotUsable(f"its {name} is {_short(made.get(name))}, not {_short(value)}")


def _digest(line: str, tensors: "Mapping[str, torch.Tensor]") -> str:
    """Over all of it, whatever order the file has it in."""
    import torch

    digest = hashlib.sha256(line.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _short(value: object) -> str:
    text = str(value).encode("ascii", "replace").decode()
    return text if len(text) <= 40 else f"{text[:37]}..."

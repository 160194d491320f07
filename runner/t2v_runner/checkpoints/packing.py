"""Values as JSON and tensors, and back: what a scheduler remembers, what a step has returned.

No pickle: a checkpoint is read by whoever goes on with it. Knows nothing of steps or files.
"""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

HERE, THERE = "cpu", "device"
"""Where a tensor was: on the CPU, or where the denoiser is."""
OF_ITS_MAKING = ("_internal_dict",)
"""Attributes of a scheduler that never change."""

Tree = Any
"""JSON: plain values as they are, all others as an object that names their kind."""


class CannotPack(Exception):
    """A value of a kind that is not known; says where it stands."""


class CannotUnpack(Exception):
    """A tree that no packing has made."""


class Packed:
    """One tree and its tensors, which it names by their place in a list."""

    def __init__(self, tree: Tree, tensors: list[torch.Tensor]) -> None:
        self.tree = tree
        self.tensors = tensors

    @property
    def line(self) -> str:
        """The tree as JSON."""
        return json.dumps(self.tree, sort_keys=True, separators=(",", ":"))


class Packer:
    """Packs values. Tensors are copied, for what they are now."""

    def __init__(self) -> None:
        self.tensors: list[torch.Tensor] = []
        self.waits_for_gpu = False
        """Whether some of them are still on their way from one."""

    def value(self, value: Any, at: str = "") -> Tree:
        """Raises CannotPack."""
        match value:
            case torch.Tensor():
                return self._tensor(value)
            case np.ndarray() | np.generic():
                return self._array(value, at)
            case None | bool() | int() | float() | str():
                return value
            case list():
                return {"list": [self.value(each, at) for each in value]}
            case tuple():
                return {"tuple": [self.value(each, at) for each in value]}
            case Mapping():
                pairs = [[self.value(k, at), self.value(v, at)] for k, v in value.items()]
                # What a pipeline gets from a scheduler has its fields as attributes, too.
                return {"named" if hasattr(value, "prev_sample") else "dict": pairs}
        if _is_a_scheduler(value):
            return {"scheduler": type(value).__name__, "state": self.state(value)}
        raise CannotPack(f"{at}: {type(value).__name__}")

    def state(self, owner: Any) -> Tree:
        """All that an object remembers in its attributes but functions. Raises CannotPack."""
        name = type(owner).__name__
        return {
            key: self.value(value, f"{name}.{key}")
            for key, value in vars(owner).items()
            if key not in OF_ITS_MAKING and not callable(value)
        }

    def _array(self, value: Any, at: str) -> Tree:
        try:
            tensor = torch.from_numpy(np.array(value))
        except TypeError:
            raise CannotPack(f"{at}: an array of {value.dtype}") from None
        return {
            "array": self._tensor(tensor)["tensor"],
            "scalar": isinstance(value, np.generic),
        }

    def _tensor(self, tensor: torch.Tensor) -> Tree:
        is_here = tensor.device.type == "cpu"
        self.waits_for_gpu |= not is_here
        self.tensors.append(_copied(tensor))
        packed = {"tensor": len(self.tensors) - 1, "at": HERE if is_here else THERE}
        # Other kernels draw other last bits of a tensor that lies otherwise in memory.
        return packed if tensor.is_contiguous() else {**packed, "order": _order(tensor)}


class Unpacker:
    """Makes values of a tree again. What it makes can be changed without harm to the tree."""

    def __init__(self, tensors: list[torch.Tensor], device: torch.device) -> None:
        self._tensors = tensors
        self._device = device

    def value(self, tree: Tree) -> Any:
        """Raises CannotUnpack."""
        if not isinstance(tree, dict):
            return tree
        match tree:
            case {"tensor": int(number), "at": where}:
                tensor = _laid(self._tensors[number], tree.get("order"))
                return tensor.clone() if where == HERE else tensor.to(self._device, copy=True)
            case {"array": int(number), "scalar": is_scalar}:
                array = self._tensors[number].numpy().copy()
                return array[()] if is_scalar else array
            case {"list": parts}:
                return [self.value(part) for part in parts]
            case {"tuple": parts}:
                return tuple(self.value(part) for part in parts)
            case {"dict": pairs}:
                return {self.value(key): self.value(value) for key, value in pairs}
            case {"named": pairs}:
                return SimpleNamespace(**{key: self.value(value) for key, value in pairs})
        raise CannotUnpack(f"a value of the kind {'+'.join(tree)}")

    def restore(self, owner: Any, state: Tree) -> None:
        """Bring an object's attributes back, in those that it has. Raises CannotUnpack."""
        for key, tree in state.items():
            if not _is_state(owner, key):
                raise CannotUnpack(f"{type(owner).__name__} has no state {key}")
            if isinstance(tree, dict) and "scheduler" in tree:
                inner = getattr(owner, key, None)
                if type(inner).__name__ != tree["scheduler"]:
                    raise CannotUnpack(f"{type(owner).__name__}.{key} is {type(inner).__name__}")
                self.restore(inner, tree["state"])
            else:
                setattr(owner, key, self.value(tree))


def _is_state(owner: Any, key: str) -> bool:
    """Whether the attribute is one that is packed: a value, no method and nothing of Python's."""
    was, of_class = vars(owner).get(key), getattr(type(owner), key, None)
    is_code = callable(was) or callable(of_class) or isinstance(of_class, property)
    return not is_code and not key.startswith("__") and key not in OF_ITS_MAKING


def _is_a_scheduler(value: Any) -> bool:
    return hasattr(value, "set_timesteps") and hasattr(value, "config")


def _order(tensor: torch.Tensor) -> list[int]:
    """Its dimensions as they lie in memory, the one of the widest strides first."""
    strides = tensor.stride()
    return sorted(range(tensor.dim()), key=lambda dimension: -strides[dimension])


def _laid(tensor: torch.Tensor, order: Any) -> torch.Tensor:
    """As it lay in memory. Raises CannotUnpack."""
    if order is None:
        return tensor
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(
        map(str, range(tensor.dim()))
    ):
        raise CannotUnpack(f"a tensor of {tensor.dim()} dimensions lies in the order {order}")
    back = sorted(range(tensor.dim()), key=lambda dimension: order[dimension])
    return tensor.permute(order).contiguous().permute(back)


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    """On the CPU; from a GPU it comes when the GPU has got there (`Snapshot.is_there`)."""
    if tensor.device.type == "cpu":
        return tensor.detach().clone(memory_format=torch.contiguous_format)
    there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return there.copy_(tensor.detach(), non_blocking=True)

"""Which layers of a LoRA a model does not have, or has in another size. Reads shapes alone.

So it needs no weights: a model on the meta device will do.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from t2v_api.sizes import Role, role_of

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

HALF = re.compile(r"^(.+)\.(lora_[AB])\.(weight|bias)$")
"""A layer's name, and which of its two matrices it is."""


def differences(tensors: "Tensors", parts: Mapping[str, Any]) -> dict[str, str]:
    """Of a LoRA's layers from the models that it is for: a sentence each, by the layers' names.

    `tensors` are a file's, as diffusers reads it; `parts` the models, by the names there.
    """
    found = {}
    for name, part in parts.items():
        own = of(name, tensors)
        modules = dict(part.named_modules()) if own else {}
        for key, tensor in _in_names_of_peft(name, part, own).items():
            half = HALF.match(key)
            layer = half[1] if half else _layer(key)
            problem = _problem(tensor, half, getattr(modules.get(layer), "weight", None))
            if problem:
                found[f"{name}.{layer}"] = f"{name}.{layer} {problem}"
    for key in tensors:
        if key.partition(".")[0] not in parts:
            found[_layer(key)] = f"{_layer(key)} is not there"
    return found


def of(name: str, tensors: "Tensors") -> "dict[str, torch.Tensor]":
    """What a file has for one of the models, by the names of that model's layers."""
    start = f"{name}."
    return {
        key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)
    }


def _problem(tensor: Any, half: re.Match[str] | None, weight: Any) -> str:
    if half is None or weight is None:
        return "is not there"
    match half[2], half[3]:
        case "lora_A", "weight" if tensor.shape[1:] != weight.shape[1:]:
            return f"takes {_size(tensor.shape[1:])}, not {_size(weight.shape[1:])}"
        case "lora_B", "weight" if tensor.shape[0] != weight.shape[0]:
            return f"gives {tensor.shape[0]}, not {weight.shape[0]}"
        case _:
            return ""


def _layer(key: str) -> str:
    """Of a tensor whose name nobody knows, the part that looks like a layer's."""
    return re.split(r"\.(?:lora|processor\.to_)", key, maxsplit=1)[0]


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _in_names_of_peft(name: str, part: Any, tensors: "Tensors") -> "Tensors":
    """As diffusers renames them before it gives them to peft."""
    from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_peft
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    if role_of(name) is not Role.TEXT_ENCODER:
        is_renamed = any("lora_A" in key for key in tensors)
        return tensors if is_renamed else dict(convert_unet_state_dict_to_peft(tensors))
    try:
        renamed = convert_state_dict_to_peft(convert_state_dict_to_diffusers(dict(tensors)))
    except ValueError:
        return tensors  # names that diffusers does not know
    outer = "" if hasattr(part, "text_model") else "text_model."
    return {key.removeprefix(outer): value for key, value in renamed.items()}

"""Add LoRAs to a model's weights while it is loaded, where their layers fit its own.

A LoRA is two small matrices for each of some layers; their product is added to the layer's weights.
Once that is done the model has the very modules that it had: no memory plan knows of LoRAs.
Knows nothing of families: diffusers says how each of its pipelines reads such files.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.lora import AppliedLora, Expert
from t2v_api.sizes import Role, role_of

from t2v_runner.errors import ModelNotLoadable, RequestRefused
from t2v_runner.lora_fit import differences, of
from t2v_runner.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    import torch

ADAPTER = "lora"
"""What diffusers calls it while it is there."""
MOST_NAMED = 3
"""Of the layers that differ, in a message."""


@dataclass(frozen=True)
class LocatedLora:
    """A LoRA that a request asks for, and its file."""

    lora: AppliedLora
    file: Path

    def __str__(self) -> str:
        return f"LoRA {self.lora.name} ({self.file.name})"


@dataclass(frozen=True)
class _Read:
    """A LoRA's file, as a pipeline's class reads it."""

    tensors: "dict[str, torch.Tensor]"
    """By the component's name, a dot, the layer's, and which matrix it is."""
    alphas: dict[str, Any] | None
    """What each layer's product is scaled by, times the rank, where the file says so."""
    metadata: dict[str, Any] | None


def add_loras(pipeline: Any, loras: Sequence[LocatedLora], later: Collection[str] = ()) -> None:
    """Add them to the pipeline's components, but to those that get their weights `later`.

    All of them have to fit. Raises RequestRefused, ModelNotLoadable.
    """
    for located in loras:
        _check_fit(located, pipeline)
    for name in type(pipeline)._lora_loadable_modules if loras else ():
        component = getattr(pipeline, name, None)
        if component is not None and name not in later:
            add_to_component(component, name, type(pipeline), loras)


def add_to_component(
    component: Any, name: str, pipeline_class: Any, loras: Sequence[LocatedLora]
) -> None:
    """Add LoRAs that fit to one component of such a pipeline. Raises ModelNotLoadable."""
    for located in loras:
        prefix = _name_in_files(name, located)
        # With a weight of 0 nothing is added: the weights stay as they are, to the bit.
        if prefix is None or not located.lora.weight:
            continue
        read = _read(located, pipeline_class)
        if not of(prefix, read.tensors):
            continue
        try:
            _add(component, prefix, read, located.lora.weight)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise ModelNotLoadable(f"{located}: {type(error).__name__}: {error}") from error


def _name_in_files(component: str, located: LocatedLora) -> str | None:
    """What a LoRA's file calls a component; None where the LoRA is not for it.

    Files know one denoiser, also where a model has two.
    """
    if component not in tuple(Expert):
        return component
    expert = located.lora.source.expert
    return Expert.MUCH_NOISE.value if expert in (None, component) else None


def _read(located: LocatedLora, pipeline_class: Any) -> _Read:
    """Raises RequestRefused."""
    try:
        tensors, *alphas, metadata = pipeline_class.lora_state_dict(
            str(located.file.parent),
            weight_name=located.file.name,
            use_safetensors=True,
            local_files_only=True,
            return_lora_metadata=True,
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError) as error:
        raise RequestRefused(
            f"{located} is none that {pipeline_class.__name__} can read: "
            f"{type(error).__name__}: {error}"
        ) from error
    return _Read(tensors, alphas[0] if alphas else None, metadata)


def _check_fit(located: LocatedLora, pipeline: Any) -> None:
    """Whether each of its layers is in the pipeline, as large as there. Raises RequestRefused."""
    read = _read(located, type(pipeline))
    if not read.tensors:
        raise RequestRefused(f"{located} has no layers")
    parts = {
        prefix: component
        for name in type(pipeline)._lora_loadable_modules
        if (component := getattr(pipeline, name, None)) is not None
        and (prefix := _name_in_files(name, located)) is not None
    }
    different = list(differences(read.tensors, parts).values())
    if different:
        more = ", …" if len(different) > MOST_NAMED else ""
        raise RequestRefused(
            f"{located} does not fit this model ({type(pipeline).__name__}): of its layers "
            f"{len(different)} differ: {', '.join(different[:MOST_NAMED])}{more}"
        )


def _add(component: Any, prefix: str, read: _Read, weight: float) -> None:
    if role_of(prefix) is Role.TEXT_ENCODER:
        _add_to_text_encoder(component, read, weight)
        return
    component.load_lora_adapter(
        read.tensors,
        prefix=prefix,
        network_alphas=read.alphas,
        metadata=read.metadata,
        adapter_name=ADAPTER,
        low_cpu_mem_usage=True,
    )
    component.fuse_lora(lora_scale=weight, safe_fusing=True)
    component.unload_lora()


def _add_to_text_encoder(component: Any, read: _Read, weight: float) -> None:
    """It is transformers's own, which has no methods of diffusers."""
    from diffusers.loaders import StableDiffusionLoraLoaderMixin
    from diffusers.loaders.lora_base import fuse_text_encoder_lora
    from diffusers.utils import recurse_remove_peft_layers

    StableDiffusionLoraLoaderMixin.load_lora_into_text_encoder(
        read.tensors,
        network_alphas=read.alphas,
        metadata=read.metadata,
        text_encoder=component,
        adapter_name=ADAPTER,
    )
    fuse_text_encoder_lora(component, lora_scale=weight, safe_fusing=True)
    recurse_remove_peft_layers(component)
    del component.peft_config
    component._hf_peft_config_loaded = False

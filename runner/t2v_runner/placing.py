"""Load a pipeline the way that a memory plan says. Knows nothing of requests.

Source: diffusers's documentation, "Reduce memory usage".
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from t2v_api.execution import Placement, Plan
from t2v_api.profile import ModelProfile
from t2v_api.sizes import Role, role_of

from t2v_runner.components import of_role, tiled
from t2v_runner.device import CPU, Device
from t2v_runner.encoder_first import filled_when_called, shells, take_over
from t2v_runner.families import adapter_of
from t2v_runner.loras import LocatedLora, add_to_component
from t2v_runner.model import load_pipeline, read_json
from t2v_runner.out_of_memory import emptied
from t2v_runner.reporter import Reporter


@dataclass(frozen=True)
class Weights:
    """What a pipeline is loaded from."""

    profile: ModelProfile
    folder: Path
    motion_adapter: Path | None = None
    """Its folder, where the model has one."""
    loras: tuple[LocatedLora, ...] = ()
    """What is added to the weights."""

    def load(self, device: Device, given: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """As `load_pipeline` does. Raises ModelNotLoadable, RequestRefused."""
        return load_pipeline(
            self.folder, self.profile, device, self.motion_adapter, given, self.loras
        )


@contextmanager
def placed(weights: Weights, plan: Plan, device: Device, reporter: Reporter) -> Iterator[Any]:
    """The pipeline, for one request where the encoders go first, and for none after an error.

    Raises ModelNotLoadable, RequestRefused.
    """
    with ExitStack() as changes:
        match plan.placement:
            case Placement.ALL_ON_GPU:
                pipeline = _all_on(weights, plan, device)
            case Placement.ENCODER_FIRST:
                pipeline = _encoder_first(weights, plan, device, reporter, changes)
            case Placement.MODEL_OFFLOAD:
                pipeline = _on_cpu(weights, plan, device)
                pipeline.enable_model_cpu_offload(device=device.name)
                _send_encoders_away(pipeline)
            case Placement.GROUP_OFFLOAD:
                pipeline = _on_cpu(weights, plan, device)
                _stream(pipeline, device)
        if plan.tiling:
            tiled(pipeline.vae)
        try:
            yield pipeline
        except BaseException:
            # Another plan needs the memory, whoever still knows the pipeline.
            for part in pipeline.components.values():
                if hasattr(part, "parameters"):
                    emptied(part)
            raise


def _all_on(weights: Weights, plan: Plan, device: Device) -> Any:
    if plan.fp8:
        return _on_cpu(weights, plan, device).to(device.name)
    return weights.load(device)


def _on_cpu(weights: Weights, plan: Plan, device: Device) -> Any:
    """In the host's memory, in the device's number formats."""
    pipeline = weights.load(replace(device, name=CPU))
    if plan.fp8:
        for denoiser in of_role(pipeline, Role.DENOISER).values():
            _in_8_bits(denoiser)
    return pipeline


def _encoder_first(
    weights: Weights, plan: Plan, device: Device, reporter: Reporter, changes: ExitStack
) -> Any:
    import diffusers

    folder = weights.folder
    index = read_json(folder / "model_index.json")
    dtypes = adapter_of(weights.profile.family).dtypes(folder, device.dtype)

    def fill(name: str, shell: Any) -> None:
        model = getattr(diffusers, index[name][1]).from_pretrained(
            str(folder / name),
            dtype=dtypes.get(name, dtypes["default"]),
            device_map=CPU if plan.fp8 else device.name,
            use_safetensors=True,
            local_files_only=True,
        )
        add_to_component(model, name, type(pipeline), weights.loras)
        take_over(shell, model)
        if plan.fp8:
            _in_8_bits(shell)
            shell.to(device.name)

    empty = shells(folder, index, dtypes)
    pipeline = weights.load(device, given=empty)
    changes.enter_context(filled_when_called(pipeline, fill, reporter))
    return pipeline


def _send_encoders_away(pipeline: Any) -> None:
    """Before a denoiser comes: a model leaves when the one after it in diffusers's order comes.

    That order does not have every second encoder, and Wan 2.2's first expert may never be called.
    """
    encoders = of_role(pipeline, Role.TEXT_ENCODER).values()

    def send_away(*_: object) -> None:
        for encoder in encoders:
            encoder.to(CPU)

    for denoiser in of_role(pipeline, Role.DENOISER).values():
        denoiser.register_forward_pre_hook(send_away)


def _stream(pipeline: Any, device: Device) -> None:
    """Denoisers block by block, text encoders layer by layer: their blocks are not at the top."""
    from diffusers.hooks import apply_group_offloading

    has_streams = device.name != CPU
    streams = {"use_stream": has_streams, "onload_device": device.name}
    for name, part in pipeline.components.items():
        if not hasattr(part, "parameters"):
            continue
        match role_of(name):
            case Role.TEXT_ENCODER:
                _pin(part, has_streams)
                apply_group_offloading(part, offload_type="leaf_level", **streams)
            case Role.DENOISER:
                _pin(part, has_streams)
                apply_group_offloading(
                    part, offload_type="block_level", num_blocks_per_group=1, **streams
                )
            case _:
                part.to(device.name)


def _pin(model: Any, has_streams: bool) -> None:
    """One tensor after the other: diffusers pins a whole model before it frees what it had."""
    for tensor in (*model.parameters(), *model.buffers()) if has_streams else ():
        tensor.data = tensor.data.pin_memory()


def _in_8_bits(denoiser: Any) -> None:
    import torch

    denoiser.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=denoiser.dtype
    )

"""Share a denoiser's work among processes: each has some of a video's tokens.

Knows nothing of how those processes came to be, nor of requests. It is diffusers's context
parallelism by its parts: `ModelMixin.enable_parallelism` itself wants a GPU, and has all attentions
look at what the others have.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.profile import ModelProfile

from t2v_runner.device import CPU, Device
from t2v_runner.errors import ModelNotLoadable
from t2v_runner.families.base import Adapter, read_config

if TYPE_CHECKING:
    import torch
    from torch.distributed.device_mesh import DeviceMesh

NEVER = timedelta(days=365)
"""Who waits for another that is gone is ended from outside; none has to look at a clock."""


def check_heads(folder: Path, profile: ModelProfile) -> None:
    """Each GPU has some attention heads, of all tokens. Raises ModelNotLoadable.

    Reads the configuration of the model in `folder`, no weights.
    """
    gpus = profile.resources.gpus
    config = read_config(folder / "transformer" / "config.json")
    for name in ("num_attention_heads", "audio_num_attention_heads"):
        heads = config.get(name, gpus)
        if heads % gpus:
            raise ModelNotLoadable(
                f"{folder}: {name} is {heads}, which {gpus} GPUs cannot share evenly; give model "
                f"{profile.id} another number of them (resources.gpus)"
            )


def join(rank: int, ranks: int, device: Device, rendezvous: Path) -> "DeviceMesh":
    """Meet the other processes of this machine, by a file. Waits for all of them."""
    import torch
    import torch.distributed as distributed
    from torch.distributed import FileStore  # type: ignore[attr-defined]
    from torch.distributed.device_mesh import init_device_mesh

    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, "lo")
    # How many tokens each has, they tell each other at every attention: without waiting for a GPU.
    backend = "cpu:gloo" if device.name == CPU else "cpu:gloo,cuda:nccl"
    kind = torch.device(device.name).type
    if kind != CPU:
        torch.cuda.set_device(rank)
    store = FileStore(str(rendezvous), ranks)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=NEVER)
    return init_device_mesh(kind, (1, ranks), mesh_dim_names=("ring", "ulysses"))


def share(denoiser: Any, adapter: Adapter, mesh: "DeviceMesh") -> None:
    """From now on every call computes this process's tokens, and returns those of all.

    All processes of the mesh have to call it, with the same. The tokens need not divide evenly.
    """
    import torch
    import torch.distributed as distributed
    from diffusers.hooks.context_parallel import apply_context_parallel
    from diffusers.models._modeling_parallel import ContextParallelConfig, ParallelConfig

    context = ContextParallelConfig(ulysses_degree=mesh.size(), ulysses_anything=True)
    config = ParallelConfig(context_parallel_config=context)
    device = torch.device(mesh.device_type)
    config.setup(distributed.get_rank(), mesh.size(), device, mesh=mesh)
    for name, module in denoiser.named_modules():
        if name.rpartition(".")[2] in adapter.looking_at_all_tokens:
            module.processor._parallel_config = config
    denoiser.register_forward_pre_hook(_one_time_for_all_tokens, with_kwargs=True)
    apply_context_parallel(denoiser, context, adapter.split(denoiser))
    denoiser.proj_out.register_forward_hook(_gathered)


def _one_time_for_all_tokens(
    denoiser: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """LTXConditionPipeline gives one as a list of times for each token, which would be split."""
    timestep = named["timestep"]
    is_one = timestep.ndim == 2 and timestep.shape[1] == 1
    return arguments, named | {"timestep": timestep.flatten()} if is_one else named


def _gathered(module: Any, arguments: Any, tokens: "torch.Tensor") -> "torch.Tensor":
    """Those of all processes, from (batch, tokens, channels) of this one.

    Padded for the way: gloo carries nothing but parts of one size.
    """
    import torch
    import torch.distributed as distributed
    from diffusers.models._modeling_parallel import gather_size_by_comm

    sizes = gather_size_by_comm(tokens.shape[1], distributed.group.WORLD)
    missing = max(sizes) - tokens.shape[1]
    own = torch.nn.functional.pad(tokens, (0, 0, 0, missing)).contiguous()
    parts = [torch.empty_like(own) for _ in sizes]
    distributed.all_gather(parts, own)
    return torch.cat([part[:, :size] for part, size in zip(parts, sizes, strict=True)], dim=1)

"""Decode again where memory runs out: nothing is denoised twice for it.

First without what is not needed any more, then in tiles, then on the CPU.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from t2v_api.sizes import Role

from t2v_runner.components import of_role, tiled
from t2v_runner.device import CPU
from t2v_runner.families.reversible import wrapped
from t2v_runner.out_of_memory import emptied, give_back, is_out_of_memory

if TYPE_CHECKING:
    import torch

    Step = tuple[str, Callable[[Any], None]]


@contextmanager
def decoding_again(pipeline: Any, fell_back: list[str]) -> Iterator[None]:
    """Calls of the VAE's `decode` go down the steps as far as they must, and stay there.

    So do those of a VAE for sound, which comes last. `fell_back` gets what ran out of memory. The
    pipeline is for no other request after a step.
    """
    with ExitStack() as changes:
        changes.enter_context(_stepping_down(pipeline, pipeline.vae, _steps(pipeline), fell_back))
        if hasattr(pipeline, "audio_vae"):
            first = _steps(pipeline)[:1]
            changes.enter_context(_stepping_down(pipeline, pipeline.audio_vae, first, fell_back))
        yield


def _stepping_down(
    pipeline: Any, vae: Any, steps: "list[Step]", fell_back: list[str]
) -> AbstractContextManager[None]:
    def decode(real: Any, latents: "torch.Tensor", *arguments: Any, **named: Any) -> Any:
        while True:
            try:
                return _where_the_vae_is(vae, real, latents, *arguments, **named)
            except Exception as error:
                if not steps or not is_out_of_memory(error):
                    raise
            how, go_down = steps.pop(0)
            fell_back.append(f"decoding {how}")
            go_down(pipeline)
            give_back()

    return wrapped(vae, "decode", decode)


def _steps(pipeline: Any) -> "list[Step]":
    """How it decodes before each, and what is done then."""
    steps: list[Step] = [("beside the other models", _drop_the_others)]
    if not pipeline.vae.use_tiling:
        steps.append(("all at once", lambda pipeline: tiled(pipeline.vae)))
    if pipeline._execution_device.type != CPU:
        steps.append((f"on {pipeline._execution_device.type}", _to_cpu))
    return steps


def _drop_the_others(pipeline: Any) -> None:
    """What is elsewhere is not in the way: it was offloaded."""
    for role in (Role.DENOISER, Role.TEXT_ENCODER):
        for model in of_role(pipeline, role).values():
            if model.device == pipeline.vae.device:
                emptied(model)


def _to_cpu(pipeline: Any) -> None:
    from accelerate.hooks import remove_hook_from_module

    remove_hook_from_module(pipeline.vae)  # of the offloading, which would bring it back
    pipeline.vae.to(CPU)


def _where_the_vae_is(
    vae: Any, real: Any, latents: "torch.Tensor", *arguments: Any, **named: Any
) -> Any:
    """An offloaded VAE comes by itself; one that has been sent to the CPU has to be followed."""
    if hasattr(vae, "_hf_hook") or vae.device == latents.device:
        return real(latents, *arguments, **named)
    from accelerate.utils import send_to_device

    follow = (latents, *arguments)
    output = real(*send_to_device(follow, vae.device), **send_to_device(named, vae.device))
    if isinstance(output, tuple):
        return tuple(send_to_device(part, latents.device) for part in output)
    output.sample = output.sample.to(latents.device)
    return output

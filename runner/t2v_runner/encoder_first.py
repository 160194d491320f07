"""Have the text encoders on the GPU first, and the denoisers in their place.

A denoiser is a shell without memory until it is called for the first time: all that is encoded has
been by then. Its weights go straight to the device.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2v_api.progress import Stage
from t2v_api.sizes import Role, role_of

from t2v_runner.checkpoints.stepping import is_skipped
from t2v_runner.components import of_role
from t2v_runner.out_of_memory import emptied, empty_cache
from t2v_runner.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


def shells(folder: Path, index: dict[str, Any], dtypes: "dict[str, torch.dtype]") -> dict[str, Any]:
    """The denoisers that a model_index.json names, with all that they have but weights."""
    import diffusers
    from accelerate import init_empty_weights

    def shell(name: str) -> Any:
        kind = getattr(diffusers, index[name][1])
        with init_empty_weights():
            model = kind.from_config(kind.load_config(str(folder / name)))
        return model.to(dtypes.get(name, dtypes["default"])).eval()

    return {
        name: shell(name)
        for name, value in index.items()
        if role_of(name) is Role.DENOISER and value[0] is not None
    }


@contextmanager
def filled_when_called(
    pipeline: Any, fill_shell: "Callable[[str, Any], None]", reporter: Reporter
) -> Iterator[None]:
    """At the first call of a denoiser the text encoders go, and all denoisers are filled.

    `fill_shell` does that with the denoiser of a name. What it raises comes out of that call.
    """
    encoders, denoisers = of_role(pipeline, Role.TEXT_ENCODER), of_role(pipeline, Role.DENOISER)
    is_filled = False

    def fill(shell: Any, *_: object) -> None:
        nonlocal is_filled
        if is_filled or is_skipped(shell):
            return
        is_filled = True
        reporter.enter(Stage.LOAD)
        for encoder in encoders.values():
            emptied(encoder)
        empty_cache()
        for name, shell in denoisers.items():
            fill_shell(name, shell)

    with ExitStack() as changes:
        for shell in denoisers.values():
            changes.callback(shell.register_forward_pre_hook(fill).remove)
        yield


def take_over(shell: Any, model: Any) -> None:
    """The shell gets the weights; its modules are who hooks and pipelines know already."""
    for own, other in zip(shell.modules(), model.modules(), strict=True):
        own._parameters, own._buffers = other._parameters, other._buffers

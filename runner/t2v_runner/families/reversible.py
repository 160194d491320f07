"""Change a loaded pipeline for one request, and leave it as it was. Knows nothing of families."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def pipeline_for(loaded: Any, class_name: str, scheduler: Any) -> Iterator[Any]:
    """`loaded` with this scheduler, or a pipeline of another class that shares its components."""
    if type(loaded).__name__ != class_name:
        yield _sibling(loaded, class_name, scheduler)
        return
    with replaced(loaded, "scheduler", scheduler):
        yield loaded


def _sibling(loaded: Any, class_name: str, scheduler: Any) -> Any:
    """Made anew for each request: it costs nothing, and what it keeps goes with it."""
    import diffusers

    kind = getattr(diffusers, class_name)
    taken = inspect.signature(kind.__init__).parameters
    # Wan's boundary between its experts, for instance, is no component.
    settings = {name: value for name, value in loaded.config.items() if name in taken}
    shared = {name: part for name, part in loaded.components.items() if name in taken}
    sibling = kind(**(settings | shared | {"scheduler": scheduler}))
    sibling.set_progress_bar_config(disable=True)
    return sibling


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """The attribute `name` is `value`."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def wrapped(owner: Any, name: str, wrapper: Callable[..., Any]) -> Iterator[None]:
    """Calls of the method `name` go to `wrapper(real, ...)`.

    Under the name and the signature of the real one, which pipelines inspect.
    """
    real, own = getattr(owner, name), vars(owner).get(name)

    @functools.wraps(real)
    def around(*arguments: Any, **named: Any) -> Any:
        return wrapper(real, *arguments, **named)

    setattr(owner, name, around)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)  # the class's shows again
        else:
            setattr(owner, name, own)


@contextmanager
def cast(module: Any, dtype: Any) -> Iterator[None]:
    """The module in a wider dtype: back in its own it has the very weights that it had."""
    before = module.dtype
    _to(module, dtype)
    try:
        yield
    finally:
        _to(module, before)


def _to(module: Any, dtype: Any) -> None:
    import torch

    # Weights that are made in inference mode would be fit for nothing else ever after.
    with torch.inference_mode(False):
        module.to(dtype)

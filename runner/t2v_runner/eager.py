"""Keep torch's compiler out of a process that never compiles.

diffusers imports torch._dynamo for one decorator, and that costs more time and memory than a
small model. A stand-in answers what eager code asks; whoever asks for more gets the real module.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

NAME = "torch._dynamo"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def load_without_compiler() -> None:
    """Import torch with the stand-in in place, unless the compiler is already there."""
    import torch

    if NAME not in sys.modules:
        stand_in = _StandIn(NAME)
        sys.modules[NAME] = stand_in
        torch.__dict__["_dynamo"] = stand_in


class _OptimizedModule:
    """Nothing here is an instance of it: no module has been compiled."""


class _StandIn(ModuleType):
    eval_frame = SimpleNamespace(OptimizedModule=_OptimizedModule)

    @staticmethod
    def allow_in_graph(function: Decorated) -> Decorated:
        return function

    @staticmethod
    def mark_static_address(tensor: object, guard: bool = True) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        # The import system and inspect look for these on every module they meet.
        if name in ("__file__", "__warningregistry__", "__wrapped__"):
            raise AttributeError(name)
        return getattr(_real(), name)


def _real() -> ModuleType:
    import torch

    if isinstance(sys.modules.get(NAME), _StandIn):
        del sys.modules[NAME]
        torch.__dict__.pop("_dynamo", None)
    module = importlib.import_module(NAME)
    torch.__dict__["_dynamo"] = module
    return module

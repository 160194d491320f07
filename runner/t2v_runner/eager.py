"""Keep torch's compiler out of a process that never compiles.

diffusers imports torch._dynamo for one decorator, and that costs more time and memory than a
small model. A stand-in answers what eager code asks; whoever asks for more gets the real module.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
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
        sys.meta_path.insert(0, _Finder())


class _OptimizedModule:
    """Nothing here is an instance of it: no module has been compiled."""


class _StandIn(ModuleType):
    # `from torch._dynamo import ...` asks whether it is a package; `_Finder` knows what is in it.
    __path__ = []
    eval_frame = SimpleNamespace(OptimizedModule=_OptimizedModule)

    @staticmethod
    def allow_in_graph(function: Decorated) -> Decorated:
        return function

    @staticmethod
    def disable(function: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
        return function if function is not None else lambda decorated: decorated

    @staticmethod
    def mark_static_address(tensor: object, guard: bool = True) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        # The import system and inspect look for these on every module they meet.
        if name in ("__file__", "__warningregistry__", "__wrapped__"):
            raise AttributeError(name)
        return getattr(_real(), name)


class _Finder(MetaPathFinder, Loader):
    """Whoever imports a part of the compiler gets the real one, and the real whole before it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{NAME}.") or not isinstance(sys.modules[NAME], _StandIn):
            return None
        _real()
        importlib.import_module(fullname)
        return spec_from_loader(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it has run already."""


def _real() -> ModuleType:
    import torch

    if isinstance(sys.modules.get(NAME), _StandIn):
        del sys.modules[NAME]
        torch.__dict__.pop("_dynamo", None)
    module = importlib.import_module(NAME)
    torch.__dict__["_dynamo"] = module
    return module

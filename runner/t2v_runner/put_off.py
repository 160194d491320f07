"""Import a module once something of it is used. What a video never needs costs no time then.

diffusers and transformers import PyTorch's compiler and most of scipy on their way, a quarter of
the time that all their imports take. A module that is put off stands in its own place, empty, and
becomes itself where something is asked of it: nothing is replaced, only later.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec, spec_from_loader
from operator import attrgetter
from types import ModuleType, SimpleNamespace
from typing import Any

Answers = dict[str, Any]


def put_off_what_few_need() -> None:
    """The compiler; what of scipy schedulers use (LMS, beta sigmas) and losses for training."""
    # Decorators tell the compiler of functions; a module is asked whether it is a compiled one.
    told = _Told(
        {
            "allow_in_graph": "allow_in_graph",
            "assume_constant_result": "assume_constant_result",
            # This marks a function as it is; `disable` itself makes another one.
            "disable": "decorators.skip",
        }
    )
    put_off(
        "torch._dynamo",
        told.answers() | {"eval_frame": SimpleNamespace(OptimizedModule=_NothingYet)},
        told.tell,
    )
    # Every model's masks need this one, and it does without the rest.
    put_off("torch._dynamo._trace_wrapped_higher_order_op")
    put_off("scipy.stats")
    put_off("scipy.integrate")
    put_off("scipy.optimize", {"linear_sum_assignment": _assign})
    sys.meta_path.insert(0, _PackagesFirst())


def put_off(
    name: str,
    answers: Answers | None = None,
    afterwards: Callable[[ModuleType], None] = lambda module: None,
) -> None:
    """The module is imported when a name is asked of it that is not among the `answers`.

    Those hold until then; `afterwards` gets the real module. A module that has been imported is
    left as it is, and one whose package is not there.
    """
    top, *middle, _ = name.split(".")
    package = find_spec(top)
    if name in sys.modules or package is None:
        return
    folders = package.submodule_search_locations or []
    spec = PathFinder.find_spec(name, ["/".join([folder, *middle]) for folder in folders])
    if spec is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _PutOff
    vars(module).update(answers or {}, _answers=tuple(answers or ()), _afterwards=afterwards)
    sys.modules[name] = module


def leave_out(name: str) -> None:
    """Have an optional library be as if it were not installed: who looks for it does without."""
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as the import system has it


def bring(name: str) -> ModuleType:
    """The real module, imported now if it was put off."""
    module = sys.modules[name]
    if isinstance(module, _PutOff):
        own = vars(module)
        afterwards = own.pop("_afterwards")
        for answer in own.pop("_answers"):
            del own[answer]
        module.__class__ = ModuleType  # type: ignore[assignment]  # it is one more than that
        assert module.__spec__ and module.__spec__.loader  # it was found by its spec
        module.__spec__.loader.exec_module(module)
        afterwards(module)
    return module


class _PutOff(ModuleType):
    """A module that has not run yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(bring(self.__name__), name)


class _PackagesFirst(MetaPathFinder):
    """A package runs before its modules do: they rely on the order in which it imports them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = name.rpartition(".")[0]
        if not isinstance(sys.modules.get(package), _PutOff):
            return None
        bring(package)
        imported = sys.modules.get(name)
        return spec_from_loader(name, _Imported(imported)) if imported else None


class _Imported(Loader):
    """Gives a module that its package has imported, as it is."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _Told:
    """Decorators that change nothing now. The real ones get what these got, once they are there."""

    def __init__(self, later: dict[str, str]) -> None:
        self._later = later
        self._calls: list[tuple[str, Any]] = []

    def answers(self) -> Answers:
        return {name: self._decorator(name) for name in self._later}

    def tell(self, module: ModuleType) -> None:
        for name, function in self._calls:
            attrgetter(self._later[name])(module)(function)

    def _decorator(self, name: str) -> Callable[..., Any]:
        def decorate(function: Any = None, *_: Any, **__: Any) -> Any:
            if function is None:
                return decorate
            self._calls.append((name, function))
            return function

        return decorate


class _NothingYet:
    """What a compiled module would be: nothing is of it as long as nothing was compiled."""


def _assign(*arguments: Any, **named: Any) -> Any:
    return bring("scipy.optimize").linear_sum_assignment(*arguments, **named)

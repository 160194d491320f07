"""What every test of the runner needs."""

import gc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.runner.drawing import Tiny


@pytest.fixture(autouse=True)
def the_process_goes_on() -> Iterator[None]:
    """A runner process ends with its video and never looks for garbage in what it has loaded."""
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> "Callable[[str], Tiny]":
    """Tiny models by their names. Each is loaded once, and serves every test."""
    from tests.runner.drawing import Tiny, a_tiny

    loaded: dict[str, Tiny] = {}

    def load(name: str) -> Tiny:
        if name not in loaded:
            loaded[name] = a_tiny(name, tmp_path_factory.getbasetemp() / name)
        return loaded[name]

    return load

"""What every test of the runner needs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.runner.drawing import Tiny


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

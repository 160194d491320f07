"""What every test needs that makes videos in its own process."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def the_process_goes_on() -> Iterator[None]:
    """A runner process ends with its video and never looks for garbage in what it has loaded."""
    yield
    gc.unfreeze()

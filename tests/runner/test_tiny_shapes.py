"""What tiny-shapes draws is what was asked for, as its own checker sees it."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runner.test_generate import MODELS, make

PROMPTS = {
    "a large red circle moving right": ("red", "circle", "right"),
    "show me a big blue square that goes up": ("blue", "square", "up"),
    "A tiny YELLOW triangle, drifting to the left!": ("yellow", "triangle", "left"),
    "a green circle that does not move": ("green", "circle", "still"),
    "a beautiful purple square falling down, van gogh, 4k, zxqv": ("purple", "square", "down"),
    "small orange triangle rising on a white background": ("orange", "triangle", "up"),
}
LEAST_RIGHT = 5
"""Of the six: another machine's arithmetic may turn one. The model card has the score over many."""


@pytest.fixture(scope="module")
def checker() -> Any:
    """models/tiny-shapes/checker.py, which needs numpy alone."""
    spec = importlib.util.spec_from_file_location("checker", MODELS / "tiny-shapes" / "checker.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["checker"] = module
    spec.loader.exec_module(module)
    return module


def seen(checker: Any, frames: NDArray[np.uint8]) -> tuple[str, str, str]:
    verdict = checker.check(frames)
    return verdict.colour, verdict.shape, verdict.direction


def test_ordinary_sentences_become_what_they_say(tmp_path: Path, checker: Any) -> None:
    drawn = {
        prompt: seen(checker, make(tmp_path / str(n), prompt=prompt, numInferenceSteps=25)[1])
        for n, prompt in enumerate(PROMPTS)
    }
    right = [prompt for prompt, expected in PROMPTS.items() if drawn[prompt] == expected]
    assert len(right) >= LEAST_RIGHT, drawn


@pytest.mark.parametrize(
    "video",
    [
        pytest.param(np.zeros((16, 64, 64, 3), np.uint8), id="all black"),
        pytest.param(
            np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), np.uint8), id="noise"
        ),
    ],
)
def test_the_checker_is_not_fooled(checker: Any, video: NDArray[np.uint8]) -> None:
    assert seen(checker, video) != ("red", "circle", "right")

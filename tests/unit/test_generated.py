"""What is generated from the models is what lies in the tree."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("generate", ROOT / "scripts" / "generate.py")
assert _spec
assert _spec.loader
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.mark.parametrize("path", generate.generated(), ids=lambda path: path.name)
def test_the_file_is_the_generated_one(path: Path) -> None:
    assert path.read_text() == generate.generated()[path], "run: make generate"

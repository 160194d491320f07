"""What must hold for the repository itself."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_operator_folder_never_hides_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_model_file_is_a_pickle() -> None:
    pickles = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
    assert not [path for path in (ROOT / "models").rglob("*") if path.suffix in pickles]

"""Files are in the page cache before they are asked for."""

import os
from pathlib import Path

import pytest
from t2v_runner import read_ahead as room
from t2v_runner.read_ahead import read_ahead

SIZE = 2**20


def a_file_on_disk(path: Path) -> Path:
    """Not in the page cache any more."""
    path.write_bytes(os.urandom(SIZE))
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def is_cached(path: Path) -> bool:
    """Whether its last page is; looking may bring it there, so look once."""
    with path.open("rb") as stream:
        try:
            os.preadv(stream.fileno(), [bytearray(1)], SIZE - 1, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        return True


@pytest.fixture(autouse=True)
def _a_disk(tmp_path: Path) -> None:
    if is_cached(a_file_on_disk(tmp_path / "probe")):
        pytest.skip(f"{tmp_path} is on a file system that is in memory")


def test_what_is_missing_keeps_nothing_else_from_being_read(tmp_path: Path) -> None:
    file = a_file_on_disk(tmp_path / "model.safetensors")
    read_ahead([tmp_path / "missing.safetensors", file]).join()
    assert is_cached(file)


def test_no_more_is_read_than_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = a_file_on_disk(tmp_path / "first"), a_file_on_disk(tmp_path / "second")
    monkeypatch.setattr(room, "memory_bytes", lambda: 3 * SIZE)
    read_ahead([first, second]).join()
    assert is_cached(first)
    assert not is_cached(second)

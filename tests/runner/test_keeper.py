"""Which steps become checkpoints, and when."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from t2v_runner.checkpoints import file
from t2v_runner.checkpoints.keeper import Keeper, Keeping
from t2v_runner.checkpoints.packing import CannotPack, CannotUnpack, Packed, Packer, Unpacker
from t2v_runner.checkpoints.stepping import Snapshot

HERE = {"request": "0123"}
CPU = torch.device("cpu")


def a_snapshot(step: int) -> Snapshot:
    return Snapshot(step, Packed({"tensor": 0, "at": "cpu"}, [torch.full((2, 2), float(step))]))


class Kept:
    """A keeper with a clock, and what it has saved."""

    def __init__(self, folder: Path, every_seconds: float = 600.0) -> None:
        self.now = 0.0
        self.path = folder / "kept"
        self.is_saved = threading.Event()
        keeping = Keeping(self.path, folder / "part", every_seconds)
        self.keeper = Keeper(keeping, self._note, monotonic=lambda: self.now).under(HERE)

    def _note(self) -> bool:
        self.is_saved.set()
        return True

    def keep(self, step: int, now: float) -> None:
        self.now = now
        self.keeper.keep(a_snapshot(step))

    @property
    def step(self) -> int | None:
        """Of the file."""
        return file.read(self.path, HERE).step if self.path.exists() else None

    def wait(self) -> int | None:
        """Until the thread has saved something."""
        assert self.is_saved.wait(60)
        self.is_saved.clear()
        return self.step


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    made: list[Keeper] = []

    def begin(every_seconds: float = 600.0) -> Kept:
        kept = Kept(tmp_path, every_seconds)
        made.append(kept.keeper.__enter__())
        assert kept.keeper.begin() is None
        return kept

    yield begin
    for keeper in made:
        keeper.__exit__()


def test_a_step_is_saved_when_it_is_time_and_not_again_before_it_is_time_again(
    begin: Callable[..., Kept],
) -> None:
    kept = begin()
    kept.keep(1, now=599)
    assert not kept.keeper._is_due
    kept.keep(2, now=601)
    assert kept.wait() == 2
    kept.keep(3, now=1200)
    assert not kept.keeper._is_due
    kept.keep(4, now=1202)
    assert kept.wait() == 4


@pytest.mark.parametrize(("now", "is_saved"), [(59.0, False), (61.0, True)])
def test_finished_latents_are_saved_where_a_minute_hangs_on_them(
    begin: Callable[..., Kept], now: float, is_saved: bool
) -> None:
    kept = begin()
    kept.keep(9, now=now)
    kept.keeper.denoised()
    if is_saved:
        assert kept.wait() == 9
        assert file.read(kept.path, HERE).is_last
    assert kept.keeper._is_due is False
    assert kept.path.exists() is is_saved


def test_a_stop_saves_the_latest_step_once(begin: Callable[..., Kept]) -> None:
    kept = begin()
    kept.keep(1, now=1)
    kept.keep(2, now=2)
    kept.keeper.save_now()
    assert kept.step == 2
    kept.path.unlink()
    kept.keeper.save_now()
    assert kept.step is None


def test_where_a_gpu_is_a_step_behind_the_one_before_is_saved(begin: Callable[..., Kept]) -> None:
    class Mark:
        def query(self) -> bool:
            return False

        def synchronize(self) -> None:
            raise AssertionError("a stop would wait for the GPU")

    kept = begin()
    kept.keep(1, now=1)
    late = a_snapshot(2)
    kept.keeper.keep(Snapshot(2, late.packed, marks=(Mark(),)))  # type: ignore[arg-type]
    kept.keeper.save_now()
    assert kept.step == 1


def test_nothing_is_left_or_comes_after_the_video(begin: Callable[..., Kept]) -> None:
    kept = begin()
    kept.keep(1, now=601)
    kept.wait()
    kept.keeper.remove()
    kept.keeper.save_now()
    assert not kept.path.exists()


def test_a_disk_that_is_full_costs_the_checkpoint_alone(
    begin: Callable[..., Kept], tmp_path: Path
) -> None:
    kept = begin()
    (tmp_path / "part").mkdir()  # it cannot be written to
    kept.keep(1, now=1)
    kept.keeper.save_now()
    assert not kept.path.exists()
    (tmp_path / "part").rmdir()
    kept.keeper.save_now()
    assert kept.step == 1


def test_what_was_half_written_makes_room_for_the_video(
    begin: Callable[..., Kept], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = begin()
    kept.keep(1, now=1)
    monkeypatch.setattr(os, "fsync", full)
    kept.keeper.save_now()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_in_the_store_is_brought_there_at_a_stop(tmp_path: Path) -> None:
    answers = [False, True]
    asked: list[int] = []

    def saved() -> bool:
        asked.append(1)
        return answers.pop(0)

    keeper = Keeper(Keeping(tmp_path / "kept", tmp_path / "part", 600.0), saved).under(HERE)
    assert keeper.begin() is None
    keeper.keep(a_snapshot(1))
    keeper.save_now()
    keeper.save_now()
    keeper.save_now()
    assert len(asked) == 2


def test_what_was_drawn_otherwise_is_not_taken_for_what_comes(
    begin: Callable[..., Kept],
) -> None:
    kept = begin()
    kept.keep(1, now=1)
    kept.keeper.under({"request": "0123", "dtype": "float8"})
    kept.keeper.save_now()
    assert not kept.path.exists()


def test_what_is_found_is_not_saved_again(begin: Callable[..., Kept], tmp_path: Path) -> None:
    file.write(a_snapshot(3), HERE, tmp_path / "part", tmp_path / "kept")
    again = Kept(tmp_path)
    found = again.keeper.begin()
    assert found
    assert (found.step, again.keeper.step) == (3, 3)
    again.path.unlink()
    again.keeper.keep(found)
    again.keeper.save_now()
    assert not again.path.exists()


def test_values_come_back_as_they_were() -> None:
    packer = Packer()
    values = {
        "list": [None, True, 3, 0.1, "text"],
        "tuple": (torch.tensor(2.5, dtype=torch.float64), [torch.arange(3)]),
        "array": torch.arange(2).numpy(),
    }
    tree = packer.value(values)
    back = Unpacker(packer.tensors, CPU).value(tree)
    assert back["list"] == values["list"]
    assert isinstance(back["tuple"], tuple)
    assert back["tuple"][0].dtype is torch.float64
    assert back["tuple"][0] == 2.5
    assert back["array"].tolist() == [0, 1]


def test_what_cannot_be_packed_is_named() -> None:
    with pytest.raises(CannotPack, match=r"Owner\.thing: Generator"):
        Packer().state(type("Owner", (), {"__init__": _with_a_thing})())


def _with_a_thing(self: object) -> None:
    vars(self)["thing"] = torch.Generator()


def test_an_array_that_no_tensor_can_be_is_named_too() -> None:
    with pytest.raises(CannotPack, match="names"):
        Packer().value(np.array(["linspace"]), "names")


def test_a_tree_of_another_kind_is_refused() -> None:
    with pytest.raises(CannotUnpack, match="pickle"):
        Unpacker([], CPU).value({"pickle": "…"})

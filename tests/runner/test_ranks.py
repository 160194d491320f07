"""Several processes draw what one would draw, and none of them outlives the run."""

import contextlib
import multiprocessing
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from t2v_api.execution import Execution
from t2v_api.profile import ModelResources
from t2v_api.progress import Progress, Stage
from t2v_api.start import Start
from t2v_runner import drawing as one_process
from t2v_runner import ranks
from t2v_runner.checkpoints.keeper import Keeper, Keeping
from t2v_runner.denoise import Drawn
from t2v_runner.device import choose_device
from t2v_runner.drawing import Drawing
from t2v_runner.errors import ModelNotLoadable, RunnerError, Stopped
from t2v_runner.reporter import Reporter
from t2v_runner.sharing import check_heads
from t2v_runner.stop import Interrupted, StopSignal

from tests.runner.drawing import Loader, asked, check_progress
from tests.runner.tiny_models import a_profile
from tests.runner.tiny_variants import STARTS

CPU = choose_device(gpus=0)
ODD = {
    "Wan": {"width": 80, "height": 80, "num_frames": 9},
    "LTX": {"width": 96, "height": 96, "num_frames": 17},
}
"""Sizes of an odd number of tokens."""


def a_drawing(
    load: Loader, name: str, start: Start = Start.TEXT, gpus: int = 2, **changes: Any
) -> Drawing:
    tiny = load(name)
    profile = a_profile(tiny.family, tiny.folder, STARTS[name])
    profile = profile.model_copy(update={"resources": ModelResources(gpus=gpus)})
    request, init_frames = asked(tiny.family, start, **changes)
    return Drawing(profile, request, tiny.folder, init_frames)


def drawn(
    drawing: Drawing,
    draw: Callable[..., tuple[Drawn, Execution]] = ranks.draw,
    tell: Callable[[Progress], None] = lambda progress: None,
    stop: StopSignal | None = None,
) -> Drawn:
    return draw(drawing, CPU, Reporter(tell, stop or StopSignal()))[0]


CASES: list[tuple[str, Start, dict[str, Any]]] = [
    ("Wan", Start.TEXT, ODD["Wan"]),
    ("LTX", Start.FIRST_FRAME, ODD["LTX"]),
    ("LTX2", Start.BOTH_FRAMES, ODD["LTX"]),
]
# Half a minute each, on two cores.
if os.environ.get("T2V_WHOLE") == "1":
    CASES += [
        ("Wan", Start.VIDEO, {}),
        ("LTX", Start.TEXT, {}),
        ("LTX", Start.VIDEO, ODD["LTX"]),
        ("LTX2", Start.TEXT, {}),
    ]


@pytest.mark.parametrize(("name", "start", "changes"), CASES)
def test_two_processes_draw_what_one_draws(
    load: Loader, name: str, start: Start, changes: dict[str, Any]
) -> None:
    drawing = a_drawing(load, name, start, **changes)
    one, two = drawn(drawing, one_process.draw), drawn(drawing)
    difference = np.abs(one.frames.astype(int) - two.frames)
    # Of 255: what is rounded elsewhere now and then is next to equal.
    assert difference.max() <= 1
    assert difference.mean() < 1e-3
    assert one.frames.std() > 1
    if one.sound:
        assert two.sound
        np.testing.assert_allclose(two.sound.samples, one.sound.samples, atol=1e-5)
    assert replace(two, frames=one.frames, sound=one.sound) == one


def test_a_process_that_dies_ends_the_run(load: Loader) -> None:
    def kill_the_second(progress: Progress) -> None:
        if progress.step == 1:
            (second,) = (each for each in multiprocessing.active_children() if "1" in each.name)
            second.kill()

    drawing = a_drawing(load, "LTX", num_inference_steps=100)
    with pytest.raises(RunnerError, match="process of GPU 1 of 2 ended with exit code -9"):
        drawn(drawing, tell=kill_the_second)
    assert multiprocessing.active_children() == []


def test_what_a_process_cannot_load_is_told_as_ever(load: Loader, tmp_path: Path) -> None:
    drawing = a_drawing(load, "LTX")
    broken = tmp_path / "broken"
    shutil.copytree(drawing.folder, broken)
    (broken / "text_encoder" / "config.json").unlink()
    with pytest.raises(ModelNotLoadable, match=f"{broken}: "):
        drawn(replace(drawing, folder=broken))
    assert multiprocessing.active_children() == []


def test_a_stop_ends_all_and_steps_are_told(load: Loader) -> None:
    stop = StopSignal()
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    told: list[Progress] = []

    def stop_while_decoding(progress: Progress) -> None:
        told.append(progress)
        if progress.stage is Stage.DECODE:
            signal.raise_signal(signal.SIGTERM)

    stop.listen()
    try:
        with pytest.raises(Stopped):
            drawn(a_drawing(load, "LTX"), tell=stop_while_decoding, stop=stop)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    check_progress([each for each in told if each.stage is not Stage.LOAD], steps=2)
    assert multiprocessing.active_children() == []


def test_several_processes_go_on_together(load: Loader, tmp_path: Path) -> None:
    drawing = a_drawing(load, "LTX", num_inference_steps=4)
    undisturbed = drawn(drawing)
    carried: list[str] = []
    keeping = Keeping(tmp_path / "kept", tmp_path / "part", 600.0)

    def run(until: int | Stage | None) -> Drawn:
        def tell(progress: Progress) -> None:
            if until is not None and until in (progress.step, progress.stage):
                raise Interrupted

        keeper = Keeper(keeping, lambda: carried.append("carried"))
        try:
            return ranks.draw(drawing, CPU, Reporter(tell, StopSignal()), keeper)[0]
        except Interrupted:
            keeper.save_now()
            raise

    with pytest.raises(Interrupted):
        run(2)
    assert carried
    with pytest.raises(Interrupted):
        run(Stage.DECODE)
    last = run(None)
    assert last.resumed_step == 4
    np.testing.assert_array_equal(last.frames, undisturbed.frames)
    assert multiprocessing.active_children() == []


def test_no_process_outlives_a_runner_that_is_killed(load: Loader, tmp_path: Path) -> None:
    drawing = a_drawing(load, "LTX", num_inference_steps=200)
    environment = os.environ | {
        "T2V_REQUEST": drawing.request.json_line(),
        "T2V_MODEL": drawing.profile.json_line(),
        "T2V_OUTPUT_DIR": str(tmp_path),
        "T2V_TERMINATION_LOG": str(tmp_path / "termination-log"),
        "T2V_DEVICE": "cpu",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "t2v_runner"]
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as runner,
        contextlib.ExitStack() as open_files,
    ):
        assert runner.stdout
        progress = (Progress.parse_json(line) for line in runner.stdout)
        assert any(each.step for each in progress)
        children = Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()
        assert len(children) >= 2
        living = {os.pidfd_open(int(pid)) for pid in children}
        for each in living:
            open_files.callback(os.close, each)
        runner.kill()
        while living:
            gone, _, _ = select.select(living, [], [], 30)
            assert gone, "a process goes on"
            living -= set(gone)


def test_heads_that_do_not_divide_are_told_before_a_load(load: Loader) -> None:
    drawing = a_drawing(load, "LTX2", gpus=3)
    with pytest.raises(ModelNotLoadable, match="num_attention_heads is 2, which 3 GPUs cannot"):
        check_heads(drawing.folder, drawing.profile)

"""A denoising that was stopped goes on in another run, and draws what it would have drawn."""

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from t2v_api.delivery import CHECKPOINT_FILE, LARGEST
from t2v_api.progress import Progress, Stage
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.speed import Speed
from t2v_api.start import Start
from t2v_runner.checkpoints import file
from t2v_runner.checkpoints.circumstances import circumstances_of
from t2v_runner.checkpoints.keeper import Keeper, Keeping
from t2v_runner.denoise import Drawn, denoise, denoisers
from t2v_runner.device import choose_device
from t2v_runner.model import load_pipeline, locate_model
from t2v_runner.reporter import Reporter
from t2v_runner.stop import Interrupted, StopSignal

from tests.runner.drawing import Frames, Loader, Tiny, asked
from tests.runner.tiny_models import a_profile
from tests.runner.tiny_variants import STARTS, TINY_MODELS
from tests.unit.builders import a_job

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast", "ignore:CPU Autocast")

CPU = choose_device(gpus=0)
MODELS = Path(__file__).parents[2] / "models"
NEVER = 1e9
WHOLE = os.environ.get("T2V_WHOLE") == "1"
"""`make checkpoints`: every start of every model, and as many steps as people take."""
EVERY_MODEL = [
    (name, start) for name in TINY_MODELS for start in STARTS[name][: None if WHOLE else 1]
]
STEPS, STOPS = (25, (1, 12, 24)) if WHOLE else (10, (1, 5, 9))


@dataclass
class Runs:
    """Several runs of one request, one after the other, that find each other's checkpoints."""

    tiny: Tiny
    request: GenerationRequest
    init_frames: Frames | None
    folder: Path
    told: list[Progress]

    @property
    def path(self) -> Path:
        return self.folder / "kept.safetensors"

    def run(self, until: int | Stage | None = None, **changes: Any) -> Drawn:
        """One run. It is stopped after the step `until`, or in that stage."""
        self.told.clear()

        def tell(progress: Progress) -> None:
            self.told.append(progress)
            if until is not None and until in (progress.step, progress.stage):
                raise Interrupted

        request = self.request.model_copy(update=changes)
        profile = a_profile(self.tiny.family, self.tiny.folder)
        kept_for = circumstances_of(profile, request, self.init_frames, CPU, fp8=False)
        keeper = Keeper(Keeping(self.path, self.folder / "part", NEVER)).under(kept_for)
        reporter = Reporter(tell, StopSignal())
        drawn: Drawn | None = None
        try:
            drawn = denoise(
                self.tiny.pipeline, self.tiny.adapter, request, self.init_frames, reporter, keeper
            )
        finally:
            if drawn is None:
                keeper.save_now()
        return drawn

    def stopped(self, until: int | Stage, **changes: Any) -> None:
        """A run that is."""
        with pytest.raises(Interrupted):
            self.run(until, **changes)

    @property
    def steps(self) -> list[int]:
        """What the last run told of."""
        return [each.step for each in self.told if each.step]


Begin = Callable[..., Runs]


@pytest.fixture
def begin(load: Loader, tmp_path: Path) -> Begin:
    def begin(name: str, start: Start = Start.TEXT, steps: int = 4, **changes: Any) -> Runs:
        tiny = load(name)
        request, init_frames = asked(tiny.family, start, num_inference_steps=steps, **changes)
        return Runs(tiny, request, init_frames, tmp_path, [])

    return begin


@pytest.fixture(scope="module")
def shapes() -> Tiny:
    """tiny-shapes, loaded."""
    profile = a_job().profile
    folder = locate_model(profile, MODELS)
    return Tiny(profile.family, folder, load_pipeline(folder, profile, CPU))


def same(one: Drawn, other: Drawn) -> None:
    np.testing.assert_array_equal(one.frames, other.frames)
    if one.sound:
        assert other.sound
        np.testing.assert_array_equal(one.sound.samples, other.sound.samples)


@pytest.mark.parametrize("scheduler", list(Scheduler), ids=str)
def test_every_scheduler_goes_on_from_its_first_steps_the_middle_and_the_last_ones(
    shapes: Tiny, tmp_path: Path, scheduler: Scheduler
) -> None:
    """Each run finds what the one before has left; the fifth only decodes."""
    request = a_job(numFrames=4, numInferenceSteps=STEPS, seed=3).request
    init_frames = None
    changes: dict[str, Any] = {"scheduler": scheduler}
    if scheduler is Scheduler.DDIM_INVERSE:
        shape = (request.num_frames, request.height, request.width, 3)
        init_frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        changes |= {"init_video": "file:///any.mp4", "strength": 0.9}
    request = request.model_copy(update=changes)
    runs = Runs(shapes, request, init_frames, tmp_path, [])
    undisturbed = runs.run()
    total = runs.steps[-1]
    assert total >= STEPS
    before = None
    for step in STOPS:
        runs.stopped(step)
        assert runs.steps == list(range(before or 1, step + 1))
        before = step
    runs.stopped(Stage.DECODE)
    assert runs.steps == list(range(STOPS[-1], total + 1))
    assert file.read(runs.path, _circumstances(runs)).is_last
    drawn = runs.run()
    assert drawn.resumed_step == total
    assert runs.steps == [total]
    same(drawn, undisturbed)


@pytest.mark.parametrize(("name", "start"), EVERY_MODEL, ids=str)
def test_every_model_goes_on_from_the_middle(begin: Begin, name: str, start: Start) -> None:
    steps = {} if start is not Start.VIDEO else {"strength": 0.9}
    runs = begin(name, start, **steps)
    undisturbed = runs.run()
    runs.stopped(2)
    drawn = runs.run()
    # LTX-2 had drawn the frames of its second step, and not yet the sound.
    assert drawn.resumed_step in (1, 2)
    same(drawn, undisturbed)
    runs.path.unlink()
    runs.stopped(Stage.DECODE)
    drawn = runs.run()
    assert drawn.resumed_step == runs.steps[-1]
    same(drawn, undisturbed)
    assert drawn.notices == undisturbed.notices


def test_a_stop_in_the_midst_of_a_step_keeps_the_one_before(begin: Begin) -> None:
    runs = begin("Wan")
    undisturbed = runs.run()
    (denoiser,) = denoisers(runs.tiny.pipeline)[:1]
    calls = 0

    def break_in(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 6:  # of the third step, that without the prompt
            raise Interrupted

    hook = denoiser.blocks[0].register_forward_pre_hook(break_in)
    with pytest.raises(Interrupted):
        runs.run()
    hook.remove()
    drawn = runs.run()
    assert drawn.resumed_step == 2
    same(drawn, undisturbed)


def test_steps_that_are_skipped_ask_no_model(begin: Begin) -> None:
    runs = begin("Latte")
    runs.stopped(3)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    (denoiser,) = denoisers(runs.tiny.pipeline)
    hook = denoiser.transformer_blocks[0].register_forward_pre_hook(count)
    runs.run()
    hook.remove()
    assert calls == 1


def test_a_speed_that_remembers_earlier_steps_keeps_finished_latents_alone(begin: Begin) -> None:
    runs = begin("LTX2", steps=10, speed=Speed.FAST)
    undisturbed = runs.run()
    runs.stopped(8)
    assert not runs.path.exists()
    runs.stopped(Stage.DECODE)
    drawn = runs.run()
    assert drawn.resumed_step == 10
    same(drawn, undisturbed)


def damaged(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[-10] ^= 1
    path.write_bytes(body)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def with_a_wrong_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 100)


def with_another_step(path: Path) -> None:
    """A header that says something else, as long as before."""
    body = path.read_bytes()
    assert body.count(b'\\"step\\":2') == 1
    path.write_bytes(body.replace(b'\\"step\\":2', b'\\"step\\":3'))


def of_another_format(path: Path) -> None:
    rewrite(path, lambda record: record.update(format=0))


def of_another_gpu(path: Path) -> None:
    rewrite(path, lambda record: record["circumstances"].update(device="NVIDIA H100"))


def of_another_library(path: Path) -> None:
    rewrite(path, lambda record: record["circumstances"].update(PyTorch="1.0"))


def of_another_scheduler(path: Path) -> None:
    rewrite(path, lambda record: record["tree"]["schedulers"][0].update(scheduler="Another"))


def of_another_pipeline(path: Path) -> None:
    rewrite(path, lambda record: record["tree"].update(outputs={}))


def without_end(path: Path) -> None:
    header = b'{"__metadata__":' + b"[" * 100_000
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def that_is_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def larger_than_any(path: Path) -> None:
    os.truncate(path, LARGEST[CHECKPOINT_FILE] + 1)


def without_circumstances(path: Path) -> None:
    rewrite(path, lambda record: record.update(circumstances=[]))


def without_a_step(path: Path) -> None:
    rewrite(path, lambda record: record.pop("step"))


def of_no_number_of_steps(path: Path) -> None:
    rewrite(path, lambda record: record.update(step="two"))


def without_a_tree(path: Path) -> None:
    rewrite(path, lambda record: record.update(tree=[]))


def with_other_outputs(path: Path) -> None:
    rewrite(path, lambda record: record["tree"].update(outputs=[]))


def with_another_number_format(path: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        outputs = record["tree"]["outputs"]
        outputs.update({name: [[1], "load"] for name in outputs})

    rewrite(path, change)


def with_another_random_state(path: Path) -> None:
    rewrite(path, lambda record: record["tree"].update(random=[{"list": []}]))


def that_changes_what_a_scheduler_is(path: Path) -> None:
    state = {"__class__": "DDIMScheduler"}
    rewrite(path, lambda record: record["tree"]["schedulers"][0].update(state=state))


def that_takes_a_schedulers_methods(path: Path) -> None:
    state = {"scale_model_input": 1}
    rewrite(path, lambda record: record["tree"]["schedulers"][0]["state"].update(state))


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A whole checkpoint, its checksum too, that somebody else has written."""
    from safetensors.torch import load, save

    body = path.read_bytes()
    (length,) = struct.unpack("<Q", body[:8])
    record = json.loads(json.loads(body[8 : 8 + length])["__metadata__"][file.RECORD])
    change(record)
    tensors, line = load(body), json.dumps(record)
    digest = file._digest(line, tensors)
    path.write_bytes(save(tensors, {file.RECORD: line, "sha256": digest}))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (damaged, "it is damaged"),
        (cut_short, "it is damaged"),
        (empty, "it is damaged"),
        (with_a_wrong_header, "it is damaged"),
        (with_another_step, "it is damaged"),
        (of_another_format, "its format is 0, this runner's is 1"),
        (of_another_gpu, "its device is NVIDIA H100, not cpu"),
        (of_another_library, "its PyTorch is 1.0, not "),
        (of_another_scheduler, "its scheduler is a DDIMScheduler"),
        (of_another_pipeline, "the model is asked otherwise than before"),
        (without_end, "it is damaged"),
        (that_is_a_pipe, "it is no file"),
        (larger_than_any, "it has 2147483649 bytes"),
        (without_circumstances, "it is damaged"),
        (without_a_step, "it is damaged"),
        (of_no_number_of_steps, "it is damaged"),
        (without_a_tree, "it is damaged"),
        (with_other_outputs, "its outputs cannot be read"),
        (with_another_number_format, "TypeError"),
        (with_another_random_state, "TypeError"),
        (that_changes_what_a_scheduler_is, "CannotUnpack: DDIMScheduler has no state __cla"),
        (that_takes_a_schedulers_methods, "CannotUnpack: DDIMScheduler has no state scale"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_used_is_ignored_with_a_notice(
    begin: Begin, harm: Callable[[Path], None], why: str
) -> None:
    runs = begin("Latte")
    undisturbed = runs.run()
    runs.stopped(2)
    harm(runs.path)
    drawn = runs.run()
    assert drawn.resumed_step is None
    (notice,) = drawn.notices
    assert notice.startswith(f"a checkpoint was not used: {why}")
    same(drawn, undisturbed)
    # What it keeps now is its own.
    runs.stopped(3)
    assert runs.run().resumed_step == 3


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"prompt": "another"}, {"num_inference_steps": 5}], ids=str
)
def test_another_request_does_not_go_on_from_it(begin: Begin, change: dict[str, Any]) -> None:
    runs = begin("Latte")
    runs.stopped(2)
    drawn = runs.run(**change)
    (notice,) = drawn.notices
    assert notice.startswith("a checkpoint was not used: its request is ")


def test_other_init_media_do_not_go_on_from_it(begin: Begin) -> None:
    runs = begin("AnimateDiff", Start.VIDEO, strength=0.9)
    runs.stopped(2)
    assert runs.init_frames is not None
    runs.init_frames = 255 - runs.init_frames
    (notice,) = runs.run().notices
    assert notice.startswith("a checkpoint was not used: its init media is ")


def _circumstances(runs: Runs) -> Any:
    profile = a_profile(runs.tiny.family, runs.tiny.folder)
    return circumstances_of(profile, runs.request, runs.init_frames, CPU, fp8=False)

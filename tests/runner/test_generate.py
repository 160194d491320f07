"""tiny-shapes really makes videos, and every request field does what it says."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from t2v_api.reasons import Reason
from t2v_api.result import GenerationResult
from t2v_api.schedulers import Scheduler, verdict
from t2v_api.start import Start
from t2v_runner.errors import OutOfMemory, RunnerError, SchedulerNotSupported, known
from t2v_runner.generate import generate
from t2v_runner.order import MediaRules, Order
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal
from t2v_runner.video import read_frames, write_video

from tests.unit.builders import a_job

MODELS = Path(__file__).parents[2] / "models"


def make(folder: Path, **spec: Any) -> tuple[GenerationResult, NDArray[np.uint8]]:
    """Make a video in few steps; its record and the frames of its MP4."""
    job = a_job(**{"numInferenceSteps": 2, "seed": 1, **spec})
    order = Order(job.request, job.profile, folder, MODELS, MediaRules(folder=Path("/")))
    result = generate(order, Reporter(lambda progress: None, StopSignal()))
    return result, read_frames(folder / "video.mp4")


def sha(folder: Path, **spec: Any) -> str:
    return make(folder, **spec)[0].video.frames_sha256


@pytest.fixture(scope="module")
def init_videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """URLs of two different videos, a dark and a bright one."""
    folder = tmp_path_factory.mktemp("media")
    for name, value in (("dark", 30), ("bright", 220)):
        frames = np.full((16, 64, 64, 3), value, np.uint8)
        frames[:, 20:40, 20:40] = 255 - value
        write_video(frames, 8, folder / f"{name}.mp4")
    return (folder / "dark.mp4").as_uri(), (folder / "bright.mp4").as_uri()


def test_size_frames_and_rate_are_those_of_the_request(tmp_path: Path) -> None:
    result, frames = make(tmp_path, width=72, height=104, numFrames=5, fps=12)
    assert frames.shape == (5, 104, 72, 3)
    assert (result.video.width, result.video.height) == (72, 104)
    assert (result.video.frames, result.video.fps) == (5, 12)
    assert result.video.duration == pytest.approx(5 / 12)


def test_the_record_tells_the_truth_about_the_file(tmp_path: Path) -> None:
    result, _ = make(tmp_path)
    mp4 = (tmp_path / "video.mp4").read_bytes()
    assert result.video.sha256 == hashlib.sha256(mp4).hexdigest()
    assert result.video.bytes == len(mp4)
    assert sorted(os.listdir(tmp_path)) == [
        "poster.jpg",
        "preview.webp",
        "result.json",
        "video.mp4",
    ]
    assert set(result.timings) >= {"load", "encode-prompt", "denoise", "decode", "encode"}
    assert sum(result.timings.values()) == pytest.approx(result.generation_time, abs=0.1)


def test_the_record_tells_what_the_model_did_not_read(tmp_path: Path) -> None:
    result, _ = make(tmp_path, prompt="a red circle " + "very " * 200)
    (notice,) = result.notices
    assert notice.startswith("prompt has ")
    assert notice.endswith(" tokens; this model reads the first 77")


def test_what_the_family_cannot_draw_costs_no_download(tmp_path: Path) -> None:
    job = a_job()
    request = job.request.model_copy(update={"scheduler": Scheduler.DDIM_INVERSE})
    order = Order(request, job.profile, tmp_path, tmp_path / "no models", MediaRules(folder=None))
    with pytest.raises(SchedulerNotSupported):
        generate(order, Reporter(lambda progress: None, StopSignal()))


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    assert sha(tmp_path / "a") == sha(tmp_path / "b")


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"prompt": "a small blue square moving left"},
        {"negativePrompt": "red"},
        {"guidanceScale": 9.0},
        {"numInferenceSteps": 3},
        {"scheduler": "DDPMScheduler"},
    ],
    ids=str,
)
def test_every_field_makes_a_difference(tmp_path: Path, change: dict[str, Any]) -> None:
    assert sha(tmp_path / "a") != sha(tmp_path / "b", **change)


@pytest.mark.parametrize("scheduler", list(Scheduler), ids=str)
def test_the_same_seed_and_scheduler_give_the_same_bytes(
    tmp_path: Path, init_videos: tuple[str, str], scheduler: Scheduler
) -> None:
    spec: dict[str, Any] = {"scheduler": scheduler.value, "numFrames": 4, "numInferenceSteps": 4}
    if scheduler is Scheduler.DDIM_INVERSE:
        spec |= {"initVideo": init_videos[0], "strength": 0.6}
    first, again = (make(tmp_path / name, **spec)[0] for name in ("first", "again"))
    assert first.video.frames_sha256 == again.video.frames_sha256
    assert first.scheduler is scheduler
    family = a_job().profile.family
    start = Start.VIDEO if scheduler is Scheduler.DDIM_INVERSE else Start.TEXT
    assert first.scheduler_class == verdict(family, scheduler, start).class_name


def test_strength_decides_how_much_of_the_init_video_is_left(
    tmp_path: Path, init_videos: tuple[str, str]
) -> None:
    video = read_frames(Path(init_videos[1].removeprefix("file://"))).astype(float)

    def distance(strength: float) -> float:
        _, frames = make(
            tmp_path / str(strength), initVideo=init_videos[1], strength=strength,
            numInferenceSteps=10,
        )  # fmt: skip
        return float(np.abs(frames - video).mean())

    near, middle, far = (distance(strength) for strength in (0.2, 0.6, 1.0))
    assert near < middle < far


def test_full_strength_uses_nothing_of_the_init_video(
    tmp_path: Path, init_videos: tuple[str, str]
) -> None:
    dark, bright = (
        sha(tmp_path / str(number), initVideo=url, strength=1.0)
        for number, url in enumerate(init_videos)
    )
    assert dark == bright == sha(tmp_path / "none")


def test_a_strength_below_one_step_still_works(
    tmp_path: Path, init_videos: tuple[str, str]
) -> None:
    _, frames = make(tmp_path, initVideo=init_videos[0], strength=0.01)
    assert len(frames) == 16


def test_an_init_image_stands_for_every_frame(tmp_path: Path) -> None:
    from PIL import Image

    image = np.zeros((64, 64, 3), np.uint8)
    image[20:44, 20:44] = (35, 75, 235)
    Image.fromarray(image).save(tmp_path / "blue.png")
    _, frames = make(
        tmp_path / "o",
        prompt="a large blue square",
        initImage=(tmp_path / "blue.png").as_uri(),
        strength=0.1,
        numInferenceSteps=10,
    )
    assert np.abs(frames.astype(float) - image).mean(axis=(1, 2, 3)).max() < 25


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), Reason.OUT_OF_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), Reason.OUT_OF_MEMORY),
        (
            RuntimeError("GET was unable to find an engine to execute this computation"),
            Reason.OUT_OF_MEMORY,
        ),
        (OSError(28, "No space left on device"), Reason.STORAGE_FAILED),
        (OutOfMemory("full"), Reason.OUT_OF_MEMORY),
    ],
    ids=repr,
)
def test_the_machine_s_failures_have_reasons(error: Exception, reason: Reason) -> None:
    its_own = known(error)
    assert isinstance(its_own, RunnerError)
    assert its_own.reason is reason


def test_a_disk_that_fills_up_while_the_video_is_written_is_a_storage_failure() -> None:
    with pytest.raises(Exception) as error:
        write_video(np.zeros((4, 64, 64, 3), np.uint8), 8, Path("/dev/full"))
    its_own = known(error.value)
    assert its_own
    assert its_own.reason is Reason.STORAGE_FAILED


def test_any_other_fault_is_not_explained_away() -> None:
    assert known(ZeroDivisionError()) is None

"""The MP4 as other programs see it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from t2v_runner.contact_sheet import draw_contact_sheet
from t2v_runner.video import read_frames, write_video


def some_frames(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Frames that change smoothly."""
    rows = np.linspace(0, 200, height)[None, :, None]
    columns = np.linspace(0, 50, width)[None, None, :]
    time = np.arange(count)[:, None, None]
    return np.repeat((rows + columns + time)[..., None], 3, axis=3).astype(np.uint8)


def probe(path: Path) -> dict[str, str]:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", path]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (stream,) = json.loads(answer)["streams"]
    assert isinstance(stream, dict)
    return stream


@pytest.mark.parametrize(
    ("count", "height", "width", "fps"),
    [(16, 64, 64, 8), (1, 64, 64, 24), (5, 72, 104, 60), (7, 1024, 64, 1)],
)
def test_ffprobe_sees_just_what_was_asked_for(
    tmp_path: Path, count: int, height: int, width: int, fps: int
) -> None:
    path = tmp_path / "video.mp4"
    write_video(some_frames(count, height, width), fps, path)
    stream = probe(path)
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert (stream["width"], stream["height"]) == (width, height)
    assert stream["avg_frame_rate"] == f"{fps}/1"
    assert int(stream["nb_read_frames"]) == count
    assert float(stream["duration"]) == pytest.approx(count / fps, abs=0.002)


def test_the_index_stands_before_the_data(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(some_frames(16, 64, 64), 8, path)
    content = path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_the_pictures_are_those_that_were_drawn(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    frames = some_frames(8, 64, 64)
    write_video(frames, 8, path)
    difference = np.abs(read_frames(path).astype(int) - frames.astype(int))
    assert difference.mean() < 2


WRITE = """
import sys
from pathlib import Path
import numpy as np
from t2v_runner.video import write_video
noise = np.random.default_rng(1).integers(0, 255, (24, 24, 3), dtype=np.uint8)
picture = noise.repeat(8, axis=0).repeat(8, axis=1)
frames = [picture[2 * step : 2 * step + 64, 3 * step : 3 * step + 64] for step in range(13)]
write_video(np.stack(frames), 8, Path(sys.argv[1]))
"""


def test_the_same_frames_are_the_same_file_whatever_memory_held_before(tmp_path: Path) -> None:
    """It can fail on a CPU with AVX-512 alone."""
    written = []
    for before in ("85", "255"):
        path = tmp_path / f"{before}.mp4"
        # glibc fills with it whatever is asked for.
        environment = {**os.environ, "MALLOC_PERTURB_": before}
        subprocess.run([sys.executable, "-c", WRITE, str(path)], check=True, env=environment)
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_a_contact_sheet_shows_every_frame(tmp_path: Path) -> None:
    from PIL import Image

    write_video(some_frames(16, 64, 64), 8, tmp_path / "v.mp4")
    draw_contact_sheet(tmp_path / "v.mp4", tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (6 * 132 + 4, 3 * 132 + 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.png", "v.mp4"]

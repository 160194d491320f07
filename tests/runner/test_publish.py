"""Finished files appear all together, or not at all."""

import errno
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from t2v_api.progress import Stage
from t2v_api.result import GenerationResult, Video
from t2v_api.schedulers import Scheduler
from t2v_runner import publish
from t2v_runner.errors import RequestRefused, StorageFailed
from t2v_runner.publish import Publication

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_result() -> GenerationResult:
    video = Video(
        sha256="0" * 64,
        frames_sha256="1" * 64,
        bytes=3,
        width=64,
        height=64,
        frames=16,
        fps=8,
        duration=2.0,
    )
    return GenerationResult(
        output=("video.mp4", "poster.jpg"),
        video=video,
        seed=1,
        scheduler=Scheduler.DDIM,
        scheduler_class="DDIMScheduler",
        model_revision="path:m",
        device="cpu",
        dtype="float32",
        timings={Stage.LOAD: 1.0},
        generation_time=1.0,
    )


def test_files_and_record_appear_and_the_working_folder_goes(tmp_path: Path) -> None:
    with Publication(tmp_path) as publication:
        publication.path("video.mp4").write_bytes(b"mp4")
        publication.path("poster.jpg").write_bytes(b"jpg")
        assert os.listdir(tmp_path) != ["video.mp4"]
        publication.publish(a_result())
    assert sorted(os.listdir(tmp_path)) == ["poster.jpg", "result.json", "video.mp4"]
    assert GenerationResult.parse_json((tmp_path / "result.json").read_text()) == a_result()


def test_a_failure_leaves_nothing_and_not_even_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(RequestRefused), Publication(folder) as publication:
        publication.path("video.mp4").write_bytes(b"half")
        raise RequestRefused("no")
    assert not folder.exists()


def test_a_failure_leaves_an_older_video_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"old")
    with pytest.raises(RequestRefused), Publication(tmp_path) as publication:
        publication.path("video.mp4").write_bytes(b"half")
        raise RequestRefused("no")
    assert (tmp_path / "video.mp4").read_bytes() == b"old"


def test_an_output_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageFailed, match="cannot write to"),
        Publication(tmp_path / "file" / "x"),
    ):
        raise AssertionError("not reached")


def test_what_a_killed_attempt_left_is_cleaned_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from t2v_runner.publish import Publication;"
        "p = Publication(Path(sys.argv[1])).__enter__();"
        "p.path('video.mp4').write_bytes(b'half');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".making-")
    with Publication(tmp_path) as publication:
        publication.path("video.mp4").write_bytes(b"mp4")
        publication.path("poster.jpg").write_bytes(b"jpg")
        publication.publish(a_result())
    assert sorted(os.listdir(tmp_path)) == ["poster.jpg", "result.json", "video.mp4"]


def test_an_attempt_that_still_works_keeps_its_folder(tmp_path: Path) -> None:
    with Publication(tmp_path) as working:
        working.path("video.mp4").write_bytes(b"half")
        with Publication(tmp_path):
            pass
        assert working.path("video.mp4").read_bytes() == b"half"


def test_a_file_system_without_locks_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(publish.fcntl, "flock", refuse)
    with Publication(tmp_path) as first, Publication(tmp_path):
        assert first.path("x").parent.exists()
    assert not any(tmp_path.iterdir())

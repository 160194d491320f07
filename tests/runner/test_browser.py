"""Chromium plays the MP4 from its first frame to its last."""

from pathlib import Path

from t2v_runner.video import write_video

from tests.browser import SAY, what_chromium_says
from tests.runner.test_video import some_frames

PAGE = f"""<!doctype html><video muted autoplay src="/video.mp4"></video>
<script>
{SAY}
const video = document.querySelector("video");
video.onended = () =>
  say(`ended ${{video.videoWidth}}x${{video.videoHeight}} ${{video.currentTime}}`);
video.onerror = () => say(`error ${{video.error.message}}`);
</script>"""


def test_chromium_plays_it_to_its_end(tmp_path: Path) -> None:
    write_video(some_frames(8, 64, 96), 8, tmp_path / "video.mp4")
    files = {"video.mp4": (tmp_path / "video.mp4").read_bytes()}
    assert what_chromium_says(PAGE, tmp_path, files) == "ended 96x64 1"

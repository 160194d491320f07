"""Chromium plays the MP4 from its first frame to its last."""

import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from t2v_runner.video import write_video

from tests.runner.test_video import some_frames

PAGE = b"""<!doctype html><video muted autoplay src="/video.mp4"></video>
<script>
const video = document.querySelector("video");
const say = text => fetch("/said/" + encodeURIComponent(text));
video.onended = () => say(`ended ${video.videoWidth}x${video.videoHeight} ${video.currentTime}`);
video.onerror = () => say(`error ${video.error.message}`);
</script>"""
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
)


@contextmanager
def a_site(video: bytes, said: "queue.Queue[str]") -> Iterator[str]:
    """A page that plays `video` and puts what became of it into `said`."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/said/"):
                said.put(unquote(self.path.removeprefix("/said/")))
            body, kind = (video, "video/mp4") if self.path == "/video.mp4" else (PAGE, "text/html")
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def test_chromium_plays_it_to_its_end(tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: `make test` installs it on Debian"
    write_video(some_frames(8, 64, 96), 8, tmp_path / "video.mp4")
    said: queue.Queue[str] = queue.Queue()
    with a_site((tmp_path / "video.mp4").read_bytes(), said) as page:
        command = [chromium, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", page]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert said.get(timeout=120) == "ended 96x64 1"
        finally:
            browser.terminate()
            browser.wait()

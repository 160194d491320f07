"""A real browser: it opens a page and says what became of it."""

import queue
import shutil
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

SAY = "const say = text => fetch('/said/' + encodeURIComponent(text));"
"""A page's script begins with it; `say(text)` ends the visit."""
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
SECONDS = 120


def what_chromium_says(page: str, folder: Path, files: Mapping[str, bytes] | None = None) -> str:
    """Open `page`, HTML served with `files` from this machine; what its script said first.

    `folder` is for the browser's profile.
    """
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: `make test` installs it on Debian"
    said: queue.Queue[str] = queue.Queue()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/said/"):
                said.put(unquote(self.path.removeprefix("/said/")))
            name = self.path.strip("/")
            is_file = name in (files or {})
            body = (files or {})[name] if is_file else page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4" if is_file else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    command = [chromium, *QUIET, f"--user-data-dir={folder / 'profile'}", address]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return said.get(timeout=SECONDS)
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
        server.server_close()

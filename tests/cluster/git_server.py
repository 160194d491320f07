"""A Git repository over HTTP, for whoever pulls: `git http-backend` behind a small server."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from harness.commands import run

BRANCH = "main"
_IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "tests"), ("EMAIL", "tests@example.com"))
}


@dataclass(frozen=True)
class GitRepository:
    """A repository, and the working copy that is pushed to it."""

    url: str
    work: Path

    def commit(self, files: Mapping[str, str | None]) -> str:
        """Write these files (None: remove it) and push; the commit's hash."""
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "more videos")
        self._git("push", "--quiet", "origin", f"HEAD:refs/heads/{BRANCH}")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *words: str) -> str:
        return run(["git", "-C", self.work, *words], environment=_IDENTITY)


@contextmanager
def git_repository(address: str, folder: Path) -> Iterator[GitRepository]:
    """Serve an empty repository on a free port of `address` until the block ends."""
    bare, work = folder / "served" / "videos.git", folder / "work"
    run(["git", "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", bare])
    run(["git", "init", "--quiet", f"--initial-branch={BRANCH}", work])
    run(["git", "-C", work, "remote", "add", "origin", bare])
    with ThreadingHTTPServer((address, 0), _handler(bare.parent)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield GitRepository(f"http://{address}:{server.server_port}/videos.git", work)
        finally:
            server.shutdown()
            thread.join()


def _handler(root: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """CGI as RFC 3875 has it, for one program."""

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self._body())

        def log_message(self, format: str, *values: object) -> None:
            """Nobody reads it."""

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _answer(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            environment = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            }
            ended = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE
            )
            head, _, content = ended.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if line)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler

"""A hub on this machine: the few requests that the runner makes, and the faults it must survive.

Paths and headers are those that huggingface_hub sends and reads; files of 10 kB and more are in
LFS, which answers with a redirect to another address.
"""

import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_BYTES = 10_000
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "89abcdef0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Refusal:
    """What the hub answers in place of a file or a listing."""

    status: int
    code: str = ""
    """Its X-Error-Code."""
    message: str = ""
    """Its X-Error-Message."""


@dataclass
class Repository:
    files: dict[str, bytes]
    commit: str = COMMIT
    revisions: tuple[str, ...] = ("main",)


@dataclass
class Sent:
    """One answer with a file's bytes."""

    path: str
    start: int
    count: int = 0


@dataclass
class Hub:
    """What it has, what is wrong with it, and what it has sent."""

    repositories: dict[str, Repository]
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """By the end of the path that is asked for."""
    altered: dict[str, list[Callable[[bytes], bytes]]] = field(default_factory=dict)
    """What is sent in place of a file's bytes; each change is made to one answer."""
    cut: dict[str, list[int]] = field(default_factory=dict)
    """After so many bytes the connection ends, once each."""
    reset: dict[str, list[int]] = field(default_factory=dict)
    """After so many bytes the connection is reset, once each."""
    failing: dict[str, list[int]] = field(default_factory=dict)
    """The statuses that are answered in place of a file, once each."""
    elsewhere: str = ""
    """The address of another server, which has the files in LFS."""
    held: dict[str, int] = field(default_factory=dict)
    """After so many bytes nothing comes until `go_on`."""
    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What a listing says otherwise of a file."""
    tells_sizes: bool = True
    """Otherwise a listing has names alone, as of some mirrors."""
    page: bytes | None = None
    """What is answered in place of a listing."""
    knows_ranges: bool = True
    go_on: threading.Event = field(default_factory=threading.Event)
    sent: list[Sent] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    """What came as Authorization."""
    listings: int = 0
    asked_about: list[str] = field(default_factory=list)
    """Files by themselves, without their bytes."""
    tells_digests: bool = True
    url: str = ""

    def sent_of(self, path: str) -> list[tuple[int, int]]:
        """Where each answer with that file began, and how many bytes it had."""
        return [(each.start, each.count) for each in self.sent if each.path == path]

    @property
    def paths_sent(self) -> set[str]:
        return {each.path for each in self.sent}


@contextmanager
def serving(hub: Hub, host: str = "127.0.0.1") -> Iterator[Hub]:
    server = ThreadingHTTPServer((host, 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            hub.tokens |= set(self.headers.get_all("Authorization") or ())
            path = unquote(urlsplit(self.path).path)
            for end, refusal in hub.refusals.items():
                if path.endswith(end):
                    return self._refuse(refusal)
            if path.startswith("/api/models/"):
                return self._list(path.removeprefix("/api/models/"))
            if path.startswith("/lfs/"):
                return self._send(path.removeprefix("/lfs/"))
            return self._resolve(path.removeprefix("/"))

        def do_HEAD(self) -> None:
            """What is told of a file: its size, and its digest as an ETag."""
            name, _, rest = unquote(urlsplit(self.path).path)[1:].partition("/resolve/")
            commit, _, path = rest.partition("/")
            hub.asked_about.append(path)
            told = _sibling(path, hub.repositories[name].files[path])
            digest = told["lfs"]["sha256"] if "lfs" in told else told["blobId"]
            self.send_response(200)
            self.send_header("Content-Length", str(told["size"]))
            self.send_header("X-Repo-Commit", commit)
            if hub.tells_digests:
                self.send_header("ETag", f'"{digest}"')
            self.end_headers()

        def _list(self, path: str) -> None:
            name, _, revision = path.partition("/revision/")
            repository = hub.repositories.get(name)
            if repository is None:
                return self._refuse(Refusal(404, "RepoNotFound"))
            if revision not in (repository.commit, *repository.revisions):
                return self._refuse(Refusal(404, "RevisionNotFound"))
            hub.listings += 1
            if hub.page is not None:
                return self._answer(200, hub.page)
            siblings = [
                _sibling(path, data) | hub.described.get(path, {})
                for path, data in repository.files.items()
            ]
            if not hub.tells_sizes:
                siblings = [{"rfilename": each["rfilename"]} for each in siblings]
            document = {"id": name, "sha": repository.commit, "siblings": siblings}
            return self._answer(200, json.dumps(document).encode())

        def _resolve(self, path: str) -> None:
            name, _, rest = path.partition("/resolve/")
            commit, _, file = rest.partition("/")
            repository = hub.repositories.get(name)
            if repository is None:  # what else a client of the hub may ask for
                return self._refuse(Refusal(404))
            if commit != repository.commit or file not in repository.files:
                return self._refuse(Refusal(404, "EntryNotFound"))
            if len(repository.files[file]) < LFS_BYTES:
                return self._send(f"{name}/{file}")
            address = hub.elsewhere or hub.url
            return self._answer(302, headers={"Location": f"{address}/lfs/{name}/{file}"})

        def _send(self, path: str) -> None:
            owner, name, file = path.split("/", 2)
            if hub.failing.get(file):
                self._refuse(Refusal(hub.failing[file].pop(0)))
                return
            whole = hub.repositories[f"{owner}/{name}"].files[file]
            changes = hub.altered.get(file)
            content = changes.pop(0)(whole) if changes else whole
            asked = self.headers.get("Range") if hub.knows_ranges else None
            start = int((asked or "bytes=0-")[6:-1])
            sent = Sent(file, start)
            hub.sent.append(sent)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            content = content[start:]
            resets = hub.reset.get(file)
            cuts = resets or hub.cut.get(file)
            if cuts:
                self.close_connection = True
                content = content[: cuts.pop(0)]
            first = hub.held.pop(file, None)
            if first is not None:
                self._write(content[:first], sent)
                hub.go_on.wait()
                content = content[first:]
            self._write(content, sent)
            if resets is not None and cuts is resets:
                self._reset()

        def _reset(self) -> None:
            time.sleep(0.05)  # a reset takes away what was sent and not yet read
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

        def _write(self, piece: bytes, sent: Sent) -> None:
            # Counted before they go: whoever has them must find them counted.
            sent.count += len(piece)
            with contextlib.suppress(ConnectionError):
                self.wfile.write(piece)
                self.wfile.flush()

        def _refuse(self, refusal: Refusal) -> None:
            told = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
            headers = {name: value for name, value in told.items() if value}
            self._answer(refusal.status, headers=headers)

        def _answer(
            self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _sibling(path: str, data: bytes) -> dict[str, Any]:
    described: dict[str, Any] = {"rfilename": path, "size": len(data)}
    if len(data) < LFS_BYTES:
        return described | {"blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    sha256 = hashlib.sha256(data).hexdigest()
    lfs = {"sha256": sha256, "size": len(data), "pointerSize": 130}
    return described | {"blobId": "0" * 40, "lfs": lfs}

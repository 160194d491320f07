"""A connection that does not come to the point is cut, and one that does goes on."""

import socket
import time
from typing import Any

import pytest
from t2v_operator.delivery import asgi
from t2v_operator.delivery.asgi import serve

from tests.unit.delivery.serving import served

LARGE = b"x" * 8_000_000


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads no body but that of an upload, and answers with as much as was asked for."""
    body = {"/large": LARGE, "/middle": LARGE[:20_000]}.get(scope["path"], b"ok")
    if scope["path"] == "/upload":
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for begin in range(0, len(body), 65536):
        piece, more = body[begin : begin + 65536], begin + 65536 < len(body)
        await send({"type": "http.response.body", "body": piece, "more_body": more})


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("REQUEST_SECONDS", 0.3), ("IDLE_SECONDS", 2.0)):
        monkeypatch.setattr(asgi, name, seconds)
    monkeypatch.setitem(serve.__kwdefaults__ or {}, "stalled_seconds", 0.5)


def connected(port: int, buffer: int | None = None) -> socket.socket:
    opened = socket.socket()
    if buffer:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    opened.settimeout(10)
    opened.connect(("127.0.0.1", port))
    return opened


def asked(path: str, method: str = "GET", *headers: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *headers, "", "")).encode()


def read_until(connection: socket.socket, end: bytes) -> None:
    got = b""
    while not got.endswith(end):
        piece = connection.recv(1)
        assert piece, got
        got += piece


def is_cut(connection: socket.socket) -> bool:
    """Reads to its end, or raises TimeoutError."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def test_the_second_request_must_come_as_well() -> None:
    with served(app) as port, connected(port) as slow:
        slow.sendall(asked("/"))
        read_until(slow, b"ok")
        slow.sendall(b"G")
        assert is_cut(slow)


def test_a_body_that_nobody_reads_may_not_trickle_on() -> None:
    with served(app) as port, connected(port) as slow:
        slow.sendall(asked("/", "POST", "Transfer-Encoding: chunked"))
        read_until(slow, b"ok")
        deadline = time.monotonic() + 10
        with pytest.raises(ConnectionError):
            while time.monotonic() < deadline:
                slow.sendall(b"1\r\nx\r\n")
                time.sleep(0.05)


@pytest.mark.parametrize("path", ["/large", "/middle"])
def test_who_asks_on_and_on_and_reads_nothing_is_cut(path: str) -> None:
    with served(app) as port, connected(port, 4096) as deaf:
        deaf.settimeout(0.2)
        deadline = time.monotonic() + 20
        with pytest.raises(ConnectionError):
            while time.monotonic() < deadline:
                try:
                    deaf.send(asked(path) * 100)
                except TimeoutError:
                    continue


def test_a_slow_download_goes_on_as_long_as_it_is_read() -> None:
    with served(app) as port, connected(port, 8192) as slow:
        slow.sendall(asked("/large"))
        begun, got = time.monotonic(), 0
        while got < len(LARGE):
            got += len(slow.recv(65536))
            if time.monotonic() < begun + 2.5:
                time.sleep(0.01)
        assert time.monotonic() > begun + 2


def test_a_slow_upload_goes_on_as_long_as_whoever_reads_it_waits() -> None:
    with served(app) as port, connected(port) as slow:
        slow.sendall(asked("/upload", "POST", "Content-Length: 15"))
        for _ in range(15):
            slow.sendall(b"x")
            time.sleep(0.1)
        read_until(slow, b"15")


def test_a_connection_is_used_again() -> None:
    with served(app) as port, connected(port) as patient:
        for _ in range(3):
            patient.sendall(asked("/"))
            read_until(patient, b"ok")
            time.sleep(0.5)
        patient.sendall(asked("/") * 3)
        for _ in range(3):
            read_until(patient, b"ok")

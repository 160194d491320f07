"""The embedded store: what a signed URL opens, and nothing else; half a file is no file."""

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from t2v_api.delivery import FileToUpload
from t2v_operator.cluster.reporting import outgoing_session
from t2v_operator.config import EmbeddedStorage
from t2v_operator.delivery import asgi, store_server
from t2v_operator.delivery.signatures import KeyFolder, KeyInvalid, Method, SigningKeys, signed_url
from t2v_operator.delivery.store_server import store_app
from t2v_operator.delivery.stores import EmbeddedStore, StoreUnavailable

from tests.unit.delivery.serving import client, served

KEYS = SigningKeys((b"a secret of 16 bytes",))
FIRST, SECOND = "the first of 16 bytes", "the second of 16 bytes"
KEY = "videos/films/0123/video.mp4"
MP4 = bytes(range(256)) * 4000


def a_file(data: bytes = MP4, name: str = "video.mp4") -> FileToUpload:
    sha256, md5 = hashlib.sha256(data), hashlib.md5(data, usedforsecurity=False)
    return FileToUpload(name=name, bytes=len(data), sha256=sha256.hexdigest(), md5=md5.hexdigest())


class Store:
    """A store that runs, and the right to everything in it."""

    def __init__(self, port: int, folder: Path, opened: httpx2.Client) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.client = opened

    def url(self, method: Method, key: str = KEY, seconds: int = 60, **more: Any) -> str:
        keys = more.pop("keys", KEYS)
        return signed_url(self.base, method, key, keys, int(time.time()) + seconds, **more)

    def put(self, data: bytes = MP4, key: str = KEY, **more: Any) -> httpx2.Response:
        return self.client.put(self.url("PUT", key, file=a_file(MP4)), content=data, **more)

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with served(store_app(tmp_path, lambda: KEYS)) as port, client() as opened:
        yield Store(port, tmp_path, opened)


def test_what_was_uploaded_opens_as_a_video(store: Store) -> None:
    assert store.put().status_code == 201
    answer = store.client.get(store.url("GET"))
    assert answer.content == MP4
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert store.files() == [KEY]


def test_a_browser_seeks_and_asks_whether_it_has_it_already(store: Store) -> None:
    store.put()
    url = store.url("GET")
    part = store.client.get(url, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, MP4[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(MP4)}"
    head = store.client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(MP4))
    again = store.client.get(url, headers={"If-None-Match": head.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    beyond = store.client.get(url, headers={"Range": f"bytes={len(MP4)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    ("change", "status"),
    [
        pytest.param(lambda s: s.url("GET", seconds=-1), 403, id="expired"),
        pytest.param(lambda s: s.url("GET", key="videos/films/0123/poster.jpg"), 404, id="missing"),
        pytest.param(
            lambda s: s.url("GET").replace("0123", "4567"), 403, id="another key's signature"
        ),
        pytest.param(lambda s: s.url("PUT"), 403, id="another method's signature"),
        pytest.param(
            lambda s: s.url("GET", keys=SigningKeys((b"another of 16 bytes",))),
            403,
            id="another secret",
        ),
        pytest.param(lambda s: s.url("GET").partition("?")[0], 403, id="no signature"),
        pytest.param(lambda s: s.url("GET") + "%C3%A9", 403, id="a letter too much"),
        pytest.param(lambda s: f"{s.base}/{store_server.UPLOADS}/x", 404, id="unfinished uploads"),
        pytest.param(lambda s: f"{s.base}/%2e%2e/%2e%2e/etc/passwd", 404, id="outside"),
        pytest.param(lambda s: f"{s.base}/", 404, id="the root"),
    ],
)
def test_nothing_else_opens(store: Store, change: Any, status: int) -> None:
    store.put()
    assert store.client.get(change(store)).status_code == status


def test_the_end_of_a_link_is_part_of_what_is_signed(store: Store) -> None:
    store.put()
    url = httpx2.URL(store.url("GET", seconds=-10))
    later = url.copy_set_param("expires", str(int(time.time()) + 3600))
    assert store.client.get(later).status_code == 403


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(MP4[:-1], id="too short"),
        pytest.param(MP4 + b"x", id="too long"),
        pytest.param(b"x" + MP4[1:], id="another content"),
        pytest.param(iter([MP4]), id="of unknown length"),
    ],
)
def test_another_file_than_the_granted_one_is_refused_and_leaves_nothing(
    store: Store, data: Any
) -> None:
    assert store.put(data).status_code == 400
    assert store.files() == []


def test_half_an_upload_is_no_file_and_does_not_replace_a_whole_one(store: Store) -> None:
    store.put()

    def broken() -> Iterator[bytes]:
        yield MP4[:500_000]
        raise ConnectionError("the runner was killed")

    headers = {"Content-Length": str(len(MP4))}
    with pytest.raises(ConnectionError):
        store.put(broken(), headers=headers)
    assert store.client.get(store.url("GET")).content == MP4
    deadline = time.monotonic() + 5
    while store.files() != [KEY] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert store.files() == [KEY]


def test_a_full_disk_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=store_server.SPARE_BYTES)
    monkeypatch.setattr(store_server.shutil, "disk_usage", lambda _: usage)
    answer = store.put()
    assert (answer.status_code, answer.text) == (507, "the store's disk is full")
    assert store.files() == []


def test_what_is_removed_is_gone_with_its_empty_folders(store: Store) -> None:
    other = "videos/films/4567/video.mp4"
    store.put()
    store.put(key=other)
    assert store.client.delete(store.url("DELETE")).status_code == 204
    assert store.client.delete(store.url("DELETE")).status_code == 204
    assert store.files() == [other]
    assert [path.name for path in (store.folder / "videos" / "films").iterdir()] == ["4567"]


def test_unfinished_uploads_of_an_earlier_life_are_swept(tmp_path: Path) -> None:
    left = tmp_path / store_server.UPLOADS / "left"
    left.parent.mkdir()
    left.write_bytes(b"x")
    with served(store_app(tmp_path, lambda: KEYS)):
        assert not left.exists()


def test_keys_change_without_a_restart_and_old_links_still_open(tmp_path: Path) -> None:
    keys, data = tmp_path / "keys", tmp_path / "data"
    keys.mkdir()
    data.mkdir()
    (keys / "current").write_text(f"{FIRST}\n")
    first, second = SigningKeys((FIRST.encode(),)), SigningKeys((SECOND.encode(),))
    with served(store_app(data, KeyFolder(keys))) as port, client() as opened:
        store = Store(port, data, opened)
        assert store.client.get(store.url("GET", keys=first)).status_code == 404
        assert store.client.get(store.url("GET", keys=second)).status_code == 403
        (keys / "previous").write_text(f"{FIRST}\n")
        (keys / "current").write_text(f"{SECOND}\n")
        assert store.client.get(store.url("GET", keys=first)).status_code == 404
        assert store.client.get(store.url("GET", keys=second)).status_code == 404


@pytest.mark.parametrize("key", ["", " \n", "too short"])
def test_a_key_that_anybody_could_guess_signs_nothing(tmp_path: Path, key: str) -> None:
    (tmp_path / "current").write_text(key)
    with pytest.raises(KeyInvalid):
        KeyFolder(tmp_path)()


def test_a_blank_previous_key_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "current").write_text(FIRST)
    (tmp_path / "previous").write_text("\n")
    assert KeyFolder(tmp_path)() == SigningKeys((FIRST.encode(),))


def test_a_link_opens_at_whatever_address_leads_to_the_store(store: Store) -> None:
    store.put()
    elsewhere = store.url("GET").replace("127.0.0.1", "localhost")
    assert store.client.get(elsewhere).status_code == 200


def test_what_an_upload_is_bound_to_is_no_part_of_a_link(store: Store) -> None:
    """Else the end of a link could be moved by what follows it."""
    store.put()
    url = store.url("GET")
    assert store.client.get(f"{url}&bytes=1&sha256=x").status_code == 200
    forged = url.replace("expires=", "bytes=").replace(
        "&signature", "&expires=9999999999&signature"
    )
    assert store.client.get(forged).status_code == 403


def test_uploads_under_way_are_counted_before_there_is_room_for_another(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = store_server.SPARE_BYTES + len(MP4) * 3 // 2
    monkeypatch.setattr(store_server.shutil, "disk_usage", lambda _: SimpleNamespace(free=room))
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield MP4[:1000]
        begun.set()
        go_on.wait(10)
        yield MP4[1000:]

    with ThreadPoolExecutor(1) as other:
        headers = {"Content-Length": str(len(MP4))}
        first = other.submit(store.put, slowly(), KEY, headers=headers)
        assert begun.wait(10)
        deadline = time.monotonic() + 10
        while store.put(key="videos/films/4567/video.mp4").status_code != 507:
            assert time.monotonic() < deadline
        go_on.set()
        assert first.result().status_code == 201
    assert store.put(key="videos/films/89ab/video.mp4").status_code == 201


def test_a_connection_that_asks_for_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "REQUEST_SECONDS", 0.2)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nothing was asked")

    with served(app) as port, socket.create_connection(("127.0.0.1", port), 5) as silent:
        silent.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert silent.recv(1) == b""


def test_the_operator_writes_and_reads_a_small_file_of_its_own(store: Store) -> None:
    async def go() -> bytes | None:
        async with outgoing_session() as session:
            ours = EmbeddedStore(EmbeddedStorage(url=store.base), KEYS, session)
            await ours.write("videos/team/prompt.json", b"{}")
            return await ours.read("videos/team/prompt.json")

    assert asyncio.run(go()) == b"{}"
    assert store.files() == ["videos/team/prompt.json"]


def test_a_write_that_the_store_does_not_take_is_no_success(store: Store) -> None:
    async def go() -> None:
        async with outgoing_session() as session:
            ours = EmbeddedStore(EmbeddedStorage(url=store.base), KEYS, session)
            await ours.write("no such/key.json", b"{}")

    with pytest.raises(StoreUnavailable, match="404"):
        asyncio.run(go())

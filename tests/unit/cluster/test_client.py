"""The right to write is asked for before each write, and never for a read."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from t2v_client.access import ConnectionInfo
from t2v_client.connection import connect
from t2v_client.login import Access, Login
from t2v_operator.cluster.capabilities import fitted
from t2v_operator.cluster.client import LONGEST_EVENT_BYTES, Client
from t2v_operator.cluster.errors import ClusterError, NotLeader
from t2v_operator.cluster.kinds import JOBS, PODS
from t2v_operator.cluster.leader import Leadership
from t2v_operator.config import ConfigurationError

from tests.unit.builders import a_config


class Connection:
    """Answers every request alike, and notes it."""

    def __init__(self, status: int = 200, body: Any = None) -> None:
        self._status, self._body = status, json.dumps(body or {}).encode()
        self.sent: list[str] = []

    async def request(self, method: str, path: str, *_: Any) -> Any:
        self.sent.append(f"{method} {path.partition('?')[0]}")
        return SimpleNamespace(status=self._status, reason="", read=self._read)

    async def _read(self) -> bytes:
        return self._body


def a_client(connection: Any, leads: bool = True) -> Client:
    return Client(connection, may_write=lambda: leads)


JOB = "/apis/batch/v1/namespaces/films/jobs/a"


@pytest.mark.parametrize(
    ("write", "sent"),
    [
        (lambda c: c.create(JOBS, "films", {}), "POST /apis/batch/v1/namespaces/films/jobs"),
        (lambda c: c.replace(JOBS, "films", "a/status", {}), f"PUT {JOB}/status"),
        (lambda c: c.patch(JOBS, "films", "a", {}), f"PATCH {JOB}"),
        (lambda c: c.delete(JOBS, "films", "a", {}), f"DELETE {JOB}"),
    ],
    ids=["create", "replace", "patch", "delete"],
)
def test_who_does_not_lead_sends_no_write(write: Any, sent: str) -> None:
    connection = Connection()
    with pytest.raises(NotLeader):
        asyncio.run(write(a_client(connection, leads=False)))
    assert connection.sent == []
    asyncio.run(write(a_client(connection)))
    assert connection.sent == [sent]


def test_a_candidate_reads_and_writes_its_lease() -> None:
    connection = Connection()
    candidate = a_client(connection, leads=False)
    asyncio.run(candidate.get(JOBS, "films", "a"))
    asyncio.run(candidate.list(JOBS, None))
    asyncio.run(candidate.write_lease("t2v", "operator", {}))
    assert len(connection.sent) == 3


def test_what_is_not_there_is_none_and_every_other_error_is_told_in_the_servers_words() -> None:
    gone = Connection(404, {"reason": "NotFound", "message": "no such job"})
    assert asyncio.run(a_client(gone).get(JOBS, "films", "a")) is None
    refusing = Connection(403, {"reason": "Forbidden", "message": "exceeded quota"})
    with pytest.raises(ClusterError, match="403 Forbidden: exceeded quota"):
        asyncio.run(a_client(refusing).create(JOBS, "films", {}))


class Streaming(Connection):
    """Answers with a stream, in these chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks = chunks

    async def request(self, method: str, path: str, *_: Any) -> Any:
        content = SimpleNamespace(iter_any=self._iter_any)
        return SimpleNamespace(status=200, reason="", content=content, close=lambda: None)

    async def _iter_any(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def the_events(chunks: Iterable[bytes]) -> list[Any]:
    async def read() -> list[Any]:
        return [each async for each in a_client(Streaming(chunks)).watch(JOBS, None, 90.0)]

    return asyncio.run(read())


def test_events_are_the_same_however_they_are_cut_into_chunks() -> None:
    text = b'{"a":1}\n[]\n"two and a half"\n3\n'
    for size in range(1, len(text) + 1):
        chunks = [text[start : start + size] for start in range(0, len(text), size)]
        assert the_events(chunks) == [{"a": 1}, [], "two and a half", 3]


def test_an_event_without_an_end_does_not_grow_without_limit() -> None:
    chunk = b"x" * 65_536
    tracemalloc.start()
    try:
        assert the_events(chunk for _ in range(1536)) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * LONGEST_EVENT_BYTES, "of 96 MiB"


def test_after_an_event_that_is_too_long_the_next_one_is_read_again() -> None:
    endless = [b"1" * 500_000] * 40
    assert the_events([b"1\n", *endless, b"11\n2\n", b"3\n"]) == [1, 2, 3]


def test_a_watch_event_of_two_megabytes_is_read_whole() -> None:
    event = {"type": "ADDED", "object": {"text": "a" * 2_000_000}}
    text = json.dumps(event).encode() + b"\n" + b'{"type": "BOOKMARK"}\n'
    chunks = [text[start : start + 4096] for start in range(0, len(text), 4096)]

    assert the_events(chunks) == [event, {"type": "BOOKMARK"}]


class LoopbackServer:
    """A Lease, and watches that begin and then say nothing."""

    def __init__(self) -> None:
        self.watches = 0
        self.lease: dict[str, Any] = {}
        self._end = asyncio.Event()

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/{name}/pods", self._watch)
        leases = "/apis/coordination.k8s.io/v1/namespaces/t2v/leases"
        app.router.add_get(f"{leases}/operator", self._get)
        app.router.add_post(leases, self._write)
        app.router.add_put(f"{leases}/operator", self._write)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=512)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        await self._runner.cleanup()

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.watches += 1
        await self._end.wait()
        return response

    async def _get(self, _: web.Request) -> web.Response:
        if not self.lease:
            return web.json_response({"reason": "NotFound", "message": ""}, status=404)
        return web.json_response(self.lease)

    async def _write(self, request: web.Request) -> web.Response:
        self.lease = await request.json()
        return web.json_response(self.lease)


def test_three_hundred_streams_that_hang_do_not_hold_up_a_renewal_of_the_lease() -> None:
    """The connection is made as the operator makes it: with its limits, or without any."""

    async def go() -> None:
        server = LoopbackServer()
        async with server as host, connect(as_anybody(host)) as connection:
            client = Client(connection, lambda: True)
            leads = Leadership(client, "t2v", "operator", "one")
            await leads.acquire()
            first = server.lease["spec"]["renewTime"]

            async def follow(number: int) -> None:
                async for _ in client.watch(PODS, f"films-{number}", 90.0):
                    pass

            async with asyncio.timeout(60):
                tasks = [asyncio.create_task(follow(number)) for number in range(300)]
                while server.watches < 300:
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(30):  # far less than the 90 s of a stream
                await leads.acquire()
            assert server.lease["spec"]["renewTime"] > first
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(go())


def as_anybody(host: str) -> Login:
    async def login() -> Access:
        return Access(ConnectionInfo(server=host))

    return login


@pytest.mark.parametrize(
    ("minor", "retries"), [("33", 0), ("34", 3), ("35+", 3)], ids=["earlier", "1.34", "later"]
)
def test_what_the_cluster_cannot_do_is_not_asked_for(minor: str, retries: int) -> None:
    connection = Connection(body={"major": "1", "minor": minor})
    config = asyncio.run(fitted(a_config(), a_client(connection, leads=False)))
    assert config.jobs.retries_in_pod == retries
    assert connection.sent == ["GET /version"]


IMAGE = {"image": "registry.example.com/wan:1"}


@pytest.mark.parametrize(
    ("minor", "given", "has"),
    [("34", None, False), ("34", True, True), ("35", None, True), ("35", False, False)],
    ids=["earlier", "by its feature gate", "1.35", "switched off"],
)
def test_whether_pods_mount_images_is_known_from_the_version_unless_it_is_said(
    minor: str, given: bool | None, has: bool
) -> None:
    client = a_client(Connection(body={"major": "1", "minor": minor}), leads=False)
    config = a_config().model_copy(update={"image_volumes": given})
    assert asyncio.run(fitted(config, client)).image_volumes is has


def test_models_from_images_stop_an_operator_whose_cluster_cannot_mount_them() -> None:
    client = a_client(Connection(body={"major": "1", "minor": "33"}), leads=False)
    with pytest.raises(ConfigurationError) as refusal:
        asyncio.run(fitted(a_config(source=IMAGE), client))
    assert str(refusal.value).startswith(
        "models: tiny-shapes comes from an image, and Kubernetes is 1.33; pods mount images from "
    )
    off = a_config(source=IMAGE).model_copy(update={"image_volumes": False})
    with pytest.raises(ConfigurationError, match="and imageVolumes is false; pods mount"):
        asyncio.run(fitted(off, client))
    on = a_config(source=IMAGE).model_copy(update={"image_volumes": True})
    assert asyncio.run(fitted(on, client)).image_volumes is True


def test_a_version_that_is_not_known_is_no_reason_to_refuse_images() -> None:
    client = a_client(Connection(status=403), leads=False)
    assert asyncio.run(fitted(a_config(source=IMAGE), client)).image_volumes is True

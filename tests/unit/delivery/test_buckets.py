"""A bucket: nobody waits for one that says nothing; what opens a file for a pod."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from t2v_operator.config import BucketStorage
from t2v_operator.delivery import stores
from t2v_operator.delivery.stores import BucketStore, StoreUnavailable

KEY = f"videos/films/{'a' * 64}/video.mp4"


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda store: store.find(KEY), id="find"),
        pytest.param(lambda store: store.read(KEY), id="read"),
        pytest.param(lambda store: store.write(KEY, b"{}"), id="write"),
        pytest.param(lambda store: store.remove([KEY]), id="remove"),
    ],
)
def test_a_bucket_that_hangs_is_unavailable_soon(
    ask: Callable[[BucketStore], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "ANSWER_SECONDS", 0.3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}", "region": "eu"}
        store = BucketStore(BucketStorage(kind="s3", bucket="videos", options=options))

        async def go() -> None:
            async with asyncio.timeout(5):
                await ask(store)

        with pytest.raises(StoreUnavailable, match="TimeoutError"):
            asyncio.run(go())


def test_a_pod_reads_by_a_link_of_minutes_though_the_bucket_is_served_to_everybody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the secret")
    options = {"endpoint": "http://s3.inside:9000", "region": "eu"}
    url = "https://videos.example.com"
    store = BucketStore(BucketStorage(kind="s3", bucket="videos", options=options, url=url))
    link = urlsplit(asyncio.run(store.grant_to_read(KEY)))
    query = parse_qs(link.query)
    assert (link.netloc, link.path) == ("s3.inside:9000", f"/videos/{KEY}")
    assert query["X-Amz-Expires"] == ["300"]
    assert query["X-Amz-SignedHeaders"] == ["host"]
    assert "the secret" not in link.query


def test_a_small_file_is_written_whole_under_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    written: dict[str, bytes] = {}

    async def take(request: web.Request) -> web.Response:
        written[request.path] = await request.read()
        return web.Response(headers={"ETag": '"x"'})

    async def go() -> None:
        app = web.Application()
        app.router.add_put("/{path:.*}", take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        options = {"endpoint": f"http://127.0.0.1:{runner.addresses[0][1]}", "region": "eu"}
        try:
            bucket = BucketStorage(kind="s3", bucket="videos", options=options)
            await BucketStore(bucket).write(KEY, b"{}")
        finally:
            await runner.cleanup()

    asyncio.run(go())
    assert written == {f"/videos/{KEY}": b"{}"}

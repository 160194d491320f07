"""A bucket whose server is there and says nothing: nobody waits for it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from t2v_operator.config import BucketStorage
from t2v_operator.delivery import stores
from t2v_operator.delivery.stores import BucketStore, StoreUnavailable

KEY = f"videos/films/{'a' * 64}/video.mp4"


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda store: store.find(KEY), id="find"),
        pytest.param(lambda store: store.read(KEY), id="read"),
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

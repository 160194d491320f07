"""Events as they are written: about what, and in which namespace."""

import asyncio
import contextlib
from typing import Any

from t2v_api.resource import ObjectMeta
from t2v_operator.cluster.kinds import Kind
from t2v_operator.cluster.recorder import Recorder
from t2v_operator.core.events import Notice

from tests.unit.observations import at

NOTICE = Notice("Normal", "Fetched", "in words")


class Client:
    def __init__(self) -> None:
        self.written: list[tuple[str, dict[str, Any]]] = []

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> None:
        self.written.append((namespace, body["involvedObject"]))


def test_an_event_about_a_model_is_in_the_namespace_that_the_api_server_wants() -> None:
    client: Any = Client()

    async def write() -> None:
        recorder = Recorder(client)
        recorder.tell(ObjectMeta(name="a", namespace="films", uid="1"), NOTICE, at(0))
        recorder.tell(ObjectMeta(name="b", uid="2"), NOTICE, at(0), "VideoModel")
        writing = asyncio.create_task(recorder.run())
        while len(client.written) < 2:
            await asyncio.sleep(0)
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing

    asyncio.run(write())
    (of_video, video), (of_model, model) = client.written
    assert (of_video, video["kind"], video["namespace"]) == ("films", "TextToVideoJob", "films")
    assert (of_model, model["kind"], "namespace" in model) == ("default", "VideoModel", False)

"""The gateway with OpenAI's own client before it, and a store behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import orjson
from fastapi import FastAPI
from openai import AsyncOpenAI
from t2v_api.api_key import GRANT_ANNOTATION, NewKey, grant
from t2v_api.resource import ResolvedRequest
from t2v_gateway.openai.answers import number_in
from t2v_gateway.videos import Video
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.config import OperatorConfig
from t2v_operator.core.request import resolve
from t2v_operator.delivery.stores import StoreUnavailable

from tests.unit.builders import a_config_with_a_store
from tests.unit.gateway.world import SECRET, World, a_world

STORE_HOST = "videos.example.com"
DIGEST = "ab" * 32
COMPLETED = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeStore:
    """Keeps what is written, and makes links that say what they open."""

    prefix = "videos"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.is_away = False

    async def write(self, key: str, body: bytes, seconds: float = 5) -> None:
        self._must_be_there()
        self.files[key] = body

    async def link(self, key: str) -> str:
        self._must_be_there()
        return f"https://{STORE_HOST}/{key}?signature=fresh"

    async def grant_to_read(self, key: str) -> str:
        return await self.link(key)

    def _must_be_there(self) -> None:
        if self.is_away:
            raise StoreUnavailable("the store: TimeoutError")


@dataclass
class OpenAiWorld:
    """What surrounds the client."""

    world: World
    app: FastAPI
    store: FakeStore
    client: AsyncOpenAI
    asked_store: list[httpx2.Request] = field(default_factory=list)
    """The requests that went to the store's own address."""

    def video(self, video_id: str) -> Video:
        found = self.world.gateway.videos.by_id(number_in(video_id) or 0)
        assert found
        return found

    def spec(self, video_id: str) -> Any:
        spec = self.video(video_id).spec
        assert spec
        return spec

    def run(self, video_id: str, percent: int = 40) -> None:
        """What the operator writes while it is drawn."""
        progress = {"stage": "denoise", "step": 4, "steps": 10, "percent": percent}
        progress["updatedTime"] = COMPLETED.isoformat()
        self.world.change(self.video(video_id), phase="Running", progress=progress)

    def finish(self, video_id: str, **status: Any) -> None:
        """What the operator writes once it is there."""
        video = self.video(video_id)
        job = resolve(video.resource.as_contract, self.world.gateway.config)
        request = job.request
        resolved = ResolvedRequest(
            **{name: getattr(request, name) for name in type(request).model_fields},
            model_revision="path:tiny-shapes",
            runner_image="text-to-video-runner:test",
        )
        made = {
            "sha256": DIGEST, "framesSha256": DIGEST, "bytes": 1000, "fps": request.fps,
            "width": request.width, "height": request.height, "frames": request.num_frames,
            "duration": request.num_frames / request.fps,
        }  # fmt: skip
        folder = f"https://{STORE_HOST}/videos/{video.namespace}/{DIGEST}"
        output = [f"{folder}/{n}?signature=old" for n in ("video.mp4", "poster.jpg")]
        self.world.change(
            video,
            **{
                "phase": "Succeeded",
                "output": output,
                "outputUrl": output[0],
                "resolved": resolved.document(),
                "video": made,
                "completionTime": COMPLETED.isoformat(),
                **status,
            },
        )

    def fail(self, video_id: str, reason: str, message: str) -> None:
        ready = {"type": "Ready", "status": "False", "reason": reason, "message": message}
        ready["lastTransitionTime"] = COMPLETED.isoformat()
        self.world.change(self.video(video_id), phase="Failed", message=message, conditions=[ready])

    def forget(self, video: Video) -> None:
        """What the watch tells once it is gone."""
        document = orjson.loads(video.document)
        document["metadata"]["resourceVersion"] = str(self.world.server.version)
        assert video.spec
        said = (video.key_id, video.namespace, video.name, video.spec.request_hash)
        document["metadata"]["annotations"] = {GRANT_ANNOTATION: grant(SECRET, *said)}
        self.world.gateway.videos.store.event("DELETED", document, None)

    def as_holder_of(self, key: NewKey | str) -> AsyncOpenAI:
        """The client with another key."""
        return self.client.with_options(api_key=key if isinstance(key, str) else key.text)


class _ByHost(httpx2.AsyncBaseTransport):
    """The gateway has one address, the store another."""

    def __init__(self, app: FastAPI, seen: list[httpx2.Request]) -> None:
        self._gateway = httpx2.ASGITransport(app=app)
        self._seen = seen

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host != STORE_HOST:
            return await self._gateway.handle_async_request(request)
        self._seen.append(request)
        return httpx2.Response(200, content=b"what the store serves", request=request)


@asynccontextmanager
async def an_openai_world(
    operator: OperatorConfig | None = None, with_store: bool = True, **settings: Any
) -> AsyncIterator[OpenAiWorld]:
    """`settings`: of the gateway."""
    operator, store = operator or a_config_with_a_store(), FakeStore()
    async with a_world(operator, store=store if with_store else None, **settings) as world:
        transport: Any = world.client._transport
        app: FastAPI = transport.app
        seen: list[httpx2.Request] = []
        http = httpx2.AsyncClient(transport=_ByHost(app, seen), follow_redirects=True)
        client = AsyncOpenAI(
            base_url="http://gateway/v1", api_key=world.key.text, max_retries=0, http_client=http
        )
        async with client:
            yield OpenAiWorld(world, app, store, client, seen)


def documents(world: OpenAiWorld) -> list[dict[str, Any]]:
    """The resources in the cluster."""
    return world.world.server.all_of(RESOURCES)

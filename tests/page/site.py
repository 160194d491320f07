"""The page on a port of this machine: a gateway with a small API server, and a store of real files.

What the operator would do to a video, tests do: `show`, `succeed`, `fail`.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from t2v_api.resource import ObjectMeta, TextToVideoJob, TextToVideoJobSpec
from t2v_api.result import POSTER_FILE, PREVIEW_FILE, VIDEO_FILE
from t2v_gateway.app import application
from t2v_gateway.videos import Video
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.core.request import resolve

from tests.page.films import FPS, FRAMES, HEIGHT, WIDTH
from tests.unit.gateway.world import World, a_world

Told = TypeVar("Told")
FILES = (VIDEO_FILE, POSTER_FILE, PREVIEW_FILE)


@dataclass
class Site:
    """The page's address, and its world, which lives in a thread of its own."""

    address: str
    store: str
    world: World
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def call(self, what: Callable[[], Told]) -> Told:
        """Do something in the world's thread."""

        async def done() -> Told:
            return what()

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(timeout=30)

    def wait(self, what: Coroutine[Any, Any, Told]) -> Told:
        """Wait for something that the world's thread does."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(timeout=30)

    def ask(self, prompt: str, minutes_ago: float = 0, **spec: Any) -> Video:
        """What somebody asked for with the world's key, that long ago."""

        async def asked() -> Video:
            key = self.world.keys.find(self.world.key.text)
            wanted = TextToVideoJobSpec.parse({"modelId": "tiny-shapes", "prompt": prompt, **spec})
            assert key
            video = await self.world.gateway.submitter.submit(key, wanted)
            document = self.world.server.objects[RESOURCES, *video.key]
            created = datetime.now(UTC) - timedelta(minutes=minutes_ago)
            document["metadata"]["creationTimestamp"] = created.strftime("%Y-%m-%dT%H:%M:%SZ")
            self.world.server.put(RESOURCES, document)
            self.world.gateway.videos.store.event("MODIFIED", document, None)
            return self.world.gateway.videos.get(video.key) or video

        return self.wait(asked())

    def newest(self) -> Video:
        return self.call(lambda: max(self.world.videos, key=lambda video: video.created))

    def show(self, video: Video, /, **status: Any) -> None:
        """What the operator writes."""
        self.call(lambda: self.world.change(video, **status))

    def draw(self, video: Video, percent: int, stage: str = "denoise", **more: Any) -> None:
        """How far the runner says that it is."""
        now = datetime.now(UTC).isoformat()
        progress = {"stage": stage, "step": 0, "steps": 0, "percent": percent, "updatedTime": now}
        pool = self.world.gateway.config.pools[0].name
        self.show(video, phase="Running", pool=pool, progress=progress | more)

    def succeed(self, video: Video, /, folder: str, **more: Any) -> None:
        """It is there: the files of `folder` in the store."""
        urls = [f"{self.store}/{folder}/{name}" for name in FILES]
        now = datetime.now(UTC).isoformat()
        conditions = _conditions("Succeeded", True)
        status = {"phase": "Succeeded", "output": urls, "outputUrl": urls[0], "id": video.id}
        times = {"generationTime": 8.9, "completionTime": now, "conditions": conditions}
        self.show(video, **status, **times, **self._record(video), **more)

    def _record(self, video: Video) -> dict[str, Any]:
        """What the runner tells of the video."""
        spec, gateway = video.spec, self.world.gateway
        assert spec
        resource = TextToVideoJob(
            api_version="textto.video/v1alpha1",
            kind="TextToVideoJob",
            metadata=ObjectMeta(name=video.name, uid=str(video.id)),
            spec=spec,
        )
        job = resolve(resource, gateway.config)
        used = job.request.document() | {
            "modelRevision": job.profile.revision,
            "runnerImage": "r:1",
        }
        film = {"sha256": "5b1e" * 16, "framesSha256": "a7c0" * 16, "bytes": 48_213, "fps": FPS}
        size = {"width": WIDTH, "height": HEIGHT, "frames": FRAMES, "duration": FRAMES / FPS}
        timings = {"load": 1.4, "denoise": 5.8, "decode": 0.6, "encode": 0.3, "upload": 0.2}
        pool = gateway.config.pools[0].name
        return {"resolved": used, "video": film | size, "timings": timings, "pool": pool}

    def fail(self, video: Video, reason: str, message: str) -> None:
        conditions = _conditions(reason, False)
        self.show(video, phase="Failed", message=message, conditions=conditions)


@contextmanager
def a_site(files: Path, **settings: Any) -> Iterator[Site]:
    """`files`: what the store serves."""
    ready: list[Site] = []
    is_ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(files, settings, ready, is_ready)))
    thread.start()
    assert is_ready.wait(timeout=60)
    (site,) = ready
    try:
        yield site
    finally:
        site.loop.call_soon_threadsafe(site.stop.set)
        thread.join(timeout=30)


async def _serve(
    files: Path, settings: dict[str, Any], ready: list[Site], is_ready: threading.Event
) -> None:
    port = _free_port()
    # Two names of one machine are two origins to a browser, as a page and a store are.
    address, store = f"http://127.0.0.1:{port}", f"http://localhost:{port}/store"
    async with a_world(_config(store), **settings) as world:
        _watched(world)
        # The store is no part of the gateway, and has none of its headers.
        store_files = Mount("/store", StaticFiles(directory=files))
        app = Starlette(routes=[store_files, Mount("/", application(world.gateway))])
        options = uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(options)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        site = Site(address, store, world, asyncio.get_running_loop())
        ready.append(site)
        is_ready.set()
        await site.stop.wait()
        server.should_exit = True
        await serving


def _config(store: str) -> OperatorConfig:
    document = load_config(None).document()
    document["storage"]["url"] = store
    document["pools"] = [
        {"name": "h100", "gpuMemory": "80Gi"},
        {"name": "l40s", "gpuMemory": "48Gi"},
    ]
    return OperatorConfig.parse(document)


def _watched(world: World) -> None:
    """What the API server deletes, the watch tells."""
    delete = world.server.delete

    async def told(kind: Any, namespace: str, name: str, options: Any) -> Any:
        document = dict(world.server.objects[kind, namespace, name])
        answer = await delete(kind, namespace, name, options)
        if kind is RESOURCES:
            version = {"resourceVersion": str(world.server.version)}
            last = document | {"metadata": document["metadata"] | version}
            world.gateway.videos.store.event("DELETED", last, None)
        return answer

    world.server.delete = told  # type: ignore[method-assign]


def _conditions(reason: str, is_ready: bool) -> list[dict[str, Any]]:
    now = datetime.now(UTC).isoformat()
    status = "True" if is_ready else "False"
    return [{"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": now}]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

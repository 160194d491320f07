"""A cluster of a few lines behind real HTTP: the API server, a store, and what an operator does."""

import asyncio
import copy
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from t2v_api.resource import API_VERSION, KIND, PLURAL

Document = dict[str, Any]
FILMS = f"/apis/{API_VERSION}/namespaces/{{namespace}}/{PLURAL}"
CREATED = "2026-01-02T03:04:05Z"
MP4 = b"an MP4"


class Cluster:
    """Runs in a thread of its own, so that whole programs can be run against it."""

    def __init__(self) -> None:
        self.videos: dict[tuple[str, str], Document] = {}
        self.objects: dict[str, Any] = {}
        """By path: what a GET gets, a Document or text; an int is refused with that status."""
        self.requests: list[tuple[str, str]] = []
        """Method and path, with its query."""
        self.refusals: list[web.Response] = []
        """What the next requests get instead of an answer."""
        self.watches_to_cut = 0
        self.address = ""
        self.expired_links = 0
        """So many fetches of files are refused."""
        self._version = 100
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._history: list[tuple[int, str, Document]] = []

    # What tests do; it may be called from any thread.

    def put(self, name: str, namespace: str = "films", **parts: Any) -> Document:
        """Make or change a video, as if somebody else did."""
        return self._in_loop(lambda: self._put(name, namespace, parts))

    def drop(self, name: str, namespace: str = "films") -> None:
        self._in_loop(lambda: self._drop(namespace, name))

    def succeed(self, name: str, **status: Any) -> Document:
        generation = self.videos["films", name]["metadata"]["generation"]
        return self.put(
            name,
            status={
                "phase": "Succeeded",
                "observedGeneration": generation,
                "outputUrl": f"{self.address}/files/{name}.mp4?signature=do-not-tell",
                "video": {"sha256": hashlib.sha256(MP4).hexdigest()},
                "generationTime": 8.9,
                "resolved": {"seed": 7, "prompt": "as it was drawn"},
                **status,
            },
        )

    @contextmanager
    def serving(self) -> Iterator["Cluster"]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def kubeconfig(self, file: Path, namespace: str = "films") -> Path:
        context = {"cluster": "c", "user": "u", "namespace": namespace}
        document = {
            "current-context": "here",
            "contexts": [
                {"name": "here", "context": context},
                {"name": "nowhere", "context": {"cluster": "dead", "user": "u"}},
            ],
            "clusters": [
                {"name": "c", "cluster": {"server": self.address}},
                {"name": "dead", "cluster": {"server": "http://127.0.0.1:9"}},
            ],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        file.write_text(yaml.safe_dump(document))
        return file

    def _in_loop(self, act: Any) -> Any:
        async def run() -> Any:
            return act()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _start(self) -> web.AppRunner:
        app = web.Application(middlewares=[self._noted])
        app.router.add_get("/files/{name}", self._file)
        app.router.add_get(f"/apis/{API_VERSION}/{PLURAL}", self._collection)
        app.router.add_get(FILMS, self._collection)
        app.router.add_post(FILMS, self._create)
        app.router.add_get(FILMS + "/{name}", self._get)
        app.router.add_patch(FILMS + "/{name}", self._patch)
        app.router.add_delete(FILMS + "/{name}", self._delete)
        app.router.add_route("*", "/{path:.*}", self._other)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    @web.middleware
    async def _noted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        if self.refusals:
            return self.refusals.pop(0)
        answer: web.StreamResponse = await handler(request)
        return answer

    # The API server.

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await self._watch(request)
        items = [each for key, each in self.videos.items() if _is_meant(request, key, each)]
        return web.json_response(
            {"metadata": {"resourceVersion": str(self._version)}, "items": items}
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        told = int(request.query["resourceVersion"])
        while True:
            changed = self._changed
            for version, happening, document in list(self._history):
                metadata = document["metadata"]
                key = (metadata["namespace"], metadata["name"])
                if version > told and _is_meant(request, key, document):
                    event = {"type": happening, "object": document}
                    await answer.write(json.dumps(event).encode() + b"\n")
            told = self._version
            if self.watches_to_cut:
                self.watches_to_cut -= 1
                return answer
            await changed.wait()

    async def _create(self, request: web.Request) -> web.Response:
        document = await request.json()
        namespace, name = request.match_info["namespace"], document["metadata"]["name"]
        if (namespace, name) in self.videos:
            return refused(409, "AlreadyExists", f'{PLURAL} "{name}" already exists')
        parts = {key: document[key] for key in document if key != "metadata"}
        made = self._put(name, namespace, {**parts, "metadata": document["metadata"]})
        return web.json_response(made, status=201)

    async def _get(self, request: web.Request) -> web.Response:
        found = self.videos.get(_key(request))
        return web.json_response(found) if found else _not_found(request)

    async def _patch(self, request: web.Request) -> web.Response:
        if _key(request) not in self.videos:
            return _not_found(request)
        namespace, name = _key(request)
        patch = await request.json()
        changed = self._put(name, namespace, patch)
        asked = patch.get("metadata", {}).get("annotations", {}).get("textto.video/renew-links")
        if asked:
            link = f"{self.address}/files/{name}.mp4?signature=new"
            self._put(name, namespace, {"status": {"linkRenewal": asked, "outputUrl": link}})
        return web.json_response(changed)

    async def _delete(self, request: web.Request) -> web.Response:
        if _key(request) not in self.videos:
            return _not_found(request)
        self._drop(*_key(request))
        return web.json_response({"kind": "Status"})

    async def _other(self, request: web.Request) -> web.Response:
        found = self.objects.get(request.path)
        if callable(found):
            found = found(await request.json())
        if found is None:
            # As the API server says it of a group that is not installed.
            return web.Response(status=404, text="404 page not found\n")
        if isinstance(found, int):
            return refused(found, "Forbidden" if found == 403 else "", f"no {request.path}")
        return web.Response(text=found) if isinstance(found, str) else web.json_response(found)

    async def _file(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        if self.expired_links:
            self.expired_links -= 1
            return web.Response(status=403)
        return web.Response(body=MP4)

    def _put(self, name: str, namespace: str, parts: Document) -> Document:
        self._version += 1
        key = (namespace, name)
        is_new = key not in self.videos
        document = copy.deepcopy(self.videos.get(key)) or {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": f"uid-{self._version}",
                "creationTimestamp": CREATED,
                "generation": 1,
            },
            "spec": {"modelId": "tiny-shapes", "prompt": "a red circle"},
        }
        if not is_new and "spec" in parts:
            document["metadata"]["generation"] += 1
        _merge(document, parts)
        document["metadata"]["resourceVersion"] = str(self._version)
        self._tell("ADDED" if is_new else "MODIFIED", document)
        self.videos[key] = document
        return document

    def _drop(self, namespace: str, name: str) -> None:
        self._version += 1
        document = copy.deepcopy(self.videos.pop((namespace, name)))
        document["metadata"]["resourceVersion"] = str(self._version)
        self._tell("DELETED", document)

    def _tell(self, happening: str, document: Document) -> None:
        self._history.append((self._version, happening, document))
        self._changed.set()
        self._changed = asyncio.Event()


def refused(status: int, reason: str, message: str, kind: str = "") -> web.Response:
    """The API server's `Status`."""
    body = {
        "kind": "Status",
        "reason": reason,
        "message": message,
        "code": status,
        "details": {"kind": kind},
    }
    return web.json_response(body, status=status)


def _not_found(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    return refused(404, "NotFound", f'{PLURAL}.textto.video "{name}" not found')


def _key(request: web.Request) -> tuple[str, str]:
    return request.match_info["namespace"], request.match_info["name"]


def _is_meant(request: web.Request, key: tuple[str, str], document: Document) -> bool:
    namespace, name = key
    label, _, value = request.query.get("labelSelector", "").partition("=")
    return (
        request.match_info.get("namespace") in (None, namespace)
        and request.query.get("fieldSelector") in (None, f"metadata.name={name}")
        and (not label or document["metadata"].get("labels", {}).get(label) == value)
    )


def _merge(document: Document, patch: Document) -> None:
    for name, value in patch.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            _merge(document[name], value)
        elif value is None:
            document.pop(name, None)
        else:
            document[name] = value

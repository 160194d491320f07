"""A gateway in this process, with an API server of a few lines behind it and keys of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
from fastapi import FastAPI
from t2v_api.api_key import ApiKey, NewKey, Right, digest_of, fingerprint_of, new_key
from t2v_gateway.app import application
from t2v_gateway.callers import Callers
from t2v_gateway.gateway import Gateway
from t2v_gateway.metrics import Metrics
from t2v_gateway.models import Models
from t2v_gateway.settings import ErrorForm, GatewaySettings
from t2v_gateway.submitting import Submitter
from t2v_gateway.videos import Video, Videos
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.config import OperatorConfig

from tests.unit.builders import a_config
from tests.unit.cluster.api_server import ApiServer

SECRET = b"the gateway's and the operator's"


class KeyRing:
    """The keys that there are."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    def add(self, namespace: str = "films", **rights: Any) -> tuple[NewKey, ApiKey]:
        made = new_key()
        key = ApiKey(id=made.id, name="somebody", namespace=namespace, **rights)
        self._keys[made.text] = key
        return made, key

    def find(self, text: str) -> ApiKey | None:
        return self._keys.get(text)

    def by_id(self, key_id: str) -> ApiKey | None:
        return next((key for key in self._keys.values() if key.id == key_id), None)

    def fingerprint(self, key_id: str) -> str:
        texts = [text for text, key in self._keys.items() if key.id == key_id]
        return fingerprint_of(digest_of(texts[0])) if texts else ""

    def replace(self, key: NewKey) -> None:
        """By another one of the same id."""
        self._keys[f"{key.text[:-1]}-"] = self._keys.pop(key.text)

    def revoke(self, key: NewKey) -> None:
        self._keys.pop(key.text, None)


@dataclass
class World:
    """Everything around the gateway, and the gateway."""

    server: ApiServer
    gateway: Gateway
    keys: KeyRing
    client: httpx2.AsyncClient
    key: NewKey
    """One that may use the gateway, in the namespace `films`."""
    metrics: Metrics
    app: FastAPI

    def change(self, video: Video, /, **status: Any) -> None:
        """What the operator writes on the status, and what the watch tells of it."""
        document = self.server.objects[RESOURCES, video.namespace, video.name]
        document["status"] = {
            "observedGeneration": document["metadata"].get("generation", 1),
            "requestHash": video.spec.request_hash if video.spec else None,
            **(document.get("status") or {}),
            **status,
        }
        self.server.put(RESOURCES, document)
        self.gateway.videos.store.event("MODIFIED", document, None)

    def forget(self, video: Video) -> None:
        """As another replica, whose watch has not told of it yet."""
        document = self.server.objects[RESOURCES, video.namespace, video.name]
        self.gateway.videos.store.event("DELETED", document, None)

    def drop(self, video: Video) -> None:
        """Its deletion, and what the watch tells of it."""
        document = self.server.objects.pop((RESOURCES, video.namespace, video.name))
        self.server.version += 1
        document["metadata"]["resourceVersion"] = str(self.server.version)
        self.gateway.videos.store.event("DELETED", document, None)

    def succeed(self, video: Video, url: str = "http://videos.example.com/v/video.mp4") -> None:
        self.change(
            video, phase="Succeeded", output=[url], outputUrl=url, generationTime=8.9, id=video.id
        )

    def fail(self, video: Video, message: str) -> None:
        self.change(video, phase="Failed", message=message)

    @property
    def videos(self) -> list[Video]:
        return [video for _, video in self.gateway.videos.store.items()]


@dataclass
class StandingWorld:
    """A gateway that any event loop may ask, and a key that may do everything."""

    app: FastAPI
    key: NewKey


def a_standing_world(store: Any = None, **settings: Any) -> StandingWorld:
    parts = _parts(None, store, settings)
    key, _ = parts.keys.add(rights=tuple(Right))
    return StandingWorld(application(parts.gateway), key)


@asynccontextmanager
async def a_world(
    operator: OperatorConfig | None = None, store: Any = None, **settings: Any
) -> AsyncIterator[World]:
    """`settings`: of the gateway, which by default does not wait for videos."""
    parts = _parts(operator, store, settings)
    metrics = Metrics()
    app = application(parts.gateway, metrics)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        key, _ = parts.keys.add()
        yield World(parts.server, parts.gateway, parts.keys, client, key, metrics, app)


@dataclass
class _Parts:
    server: ApiServer
    gateway: Gateway
    keys: KeyRing


def _parts(operator: OperatorConfig | None, store: Any, settings: dict[str, Any]) -> _Parts:
    server: Any = ApiServer(lambda: datetime.now(UTC))
    operator = operator or a_config()
    errors = ErrorForm(settings.pop("errors", ErrorForm.AS_DOCUMENTED))
    chosen = GatewaySettings(**{"wait_seconds": 0, "errors": errors, **settings})
    models, keys = Models(server, operator), KeyRing()
    videos = Videos(server, (), (SECRET,), models.gpus)
    submitter = Submitter(server, operator, videos, models, SECRET, chosen.repeat_seconds)
    callers = Callers(keys, videos)
    gateway = Gateway(chosen, operator, videos, models, callers, submitter, store)
    return _Parts(server, gateway, keys)

"""The resources as the gateway knows them: every one from a watch, found by id, waited for."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
from t2v_api.api_key import KEY_LABEL
from t2v_api.resource import GROUP, Phase, TextToVideoJobSpec
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.store import Key, Manifest, Store
from t2v_operator.core.names import stable_id
from t2v_operator.core.observe import observe_resource
from t2v_operator.core.observed import ObservedResource

DIGEST_ANNOTATION = f"{GROUP}/idempotent-request"
"""On a resource made with an Idempotency-Key: the digest of the request that the key goes with."""
READ = ("name", "namespace", "uid", "generation", "creationTimestamp", "resourceVersion", "labels")


@dataclass(frozen=True, slots=True)
class Video:
    """One TextToVideoJob. Of ten thousand most are never asked for: it is kept as JSON."""

    id: int
    """The one in `status.id`, known before there is a status."""
    namespace: str
    name: str
    key_id: str
    """The key that it was made with; empty where none was."""
    track_id: str
    digest: str
    """Of the request that its Idempotency-Key goes with; empty where it has none."""
    created: str
    """In RFC 3339, which sorts by time."""
    is_finished: bool
    is_being_deleted: bool
    document: bytes

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    @property
    def resource(self) -> ObservedResource:
        """The whole of it."""
        return observe_resource(orjson.loads(self.document))

    @property
    def resource_version(self) -> str:
        """The one that this is."""
        return self.resource.metadata.resource_version

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] | None = orjson.loads(self.document)["metadata"].get("labels")
        return labels or {}

    @property
    def spec(self) -> TextToVideoJobSpec | None:
        return self.resource.spec

    @property
    def phase(self) -> Phase:
        """Pending where nobody has looked at its request yet."""
        status = (seen := self.resource).status
        return status.phase if status and seen.is_observed else Phase.PENDING


def video_of(document: Manifest) -> Video:
    """What is kept of an object of the API."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    kept = {
        "metadata": {name: metadata[name] for name in READ if name in metadata},
        "spec": spec,
        "status": document.get("status"),
    }
    resource = observe_resource(document)
    return Video(
        id=stable_id(metadata["uid"]),
        namespace=metadata["namespace"],
        name=metadata["name"],
        key_id=(metadata.get("labels") or {}).get(KEY_LABEL, ""),
        digest=(metadata.get("annotations") or {}).get(DIGEST_ANNOTATION, ""),
        track_id=spec.get("trackId") or "",
        created=metadata["creationTimestamp"],
        is_finished=resource.is_finished,
        is_being_deleted=resource.is_being_deleted,
        document=orjson.dumps(kept),
    )


class Videos:
    """Every video, whoever made it."""

    def __init__(self, client: Client, namespaces: Sequence[str]) -> None:
        self.store: Store[Video] = Store(video_of, self._index, self._told)
        self.reflectors = [
            Reflector(client, RESOURCES, scope, self.store) for scope in namespaces or (None,)
        ]
        self._by_id: dict[int, Key] = {}
        self._by_key: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        self._listeners: defaultdict[Key, set[asyncio.Event]] = defaultdict(set)
        self._all_listeners: set[asyncio.Event] = set()

    async def run(self) -> None:
        """Keep them in step with the API server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run())

    @property
    def is_full(self) -> bool:
        return all(each.is_full for each in self.reflectors)

    async def wait_until_full(self) -> None:
        await asyncio.gather(*(each.wait_until_full() for each in self.reflectors))

    def get(self, key: Key) -> Video | None:
        return self.store.get(key)

    def by_id(self, video_id: int) -> Video | None:
        key = self._by_id.get(video_id)
        return self.store.get(key) if key else None

    def of_key(self, key_id: str) -> Iterator[Video]:
        """What was made with this key, in no order."""
        return filter(None, (self.store.get(key) for key in list(self._by_key.get(key_id, ()))))

    async def finished(self, key: Key, seconds: float) -> Video | None:
        """The video once it is finished, or as it is after so many seconds; None once it is gone.

        It need not be there yet: an own write may be ahead of the watch.
        """
        with self._listening(self._listeners[key]) as changed:
            try:
                async with asyncio.timeout(seconds):
                    seen = False
                    while True:
                        video = self.store.get(key)
                        if video is None and seen:
                            return None
                        if video is not None and video.is_finished:
                            return video
                        seen = seen or video is not None
                        await changed.wait()
                        changed.clear()
            except TimeoutError:
                return self.store.get(key)
            finally:
                if self._listeners[key] <= {changed}:
                    del self._listeners[key]

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set at each change of any video; whoever waits clears it."""
        with self._listening(self._all_listeners) as changed:
            yield changed

    def _listening(self, listeners: set[asyncio.Event]) -> "_Listening":
        return _Listening(listeners)

    def _index(self, key: Key, before: Video | None, after: Video | None) -> None:
        if before is not None and (after is None or after.id != before.id):
            self._by_id.pop(before.id, None)
        if before is not None and (after is None or after.key_id != before.key_id):
            self._by_key[before.key_id].pop(key, None)
        if after is not None:
            self._by_id[after.id] = key
            self._by_key[after.key_id][key] = None
        for listener in (*self._listeners.get(key, ()), *self._all_listeners):
            listener.set()

    def _told(self, *_: object) -> None:
        """What watches say and what own writes say is all one here."""


class _Listening:
    """One waits as long as the block lasts."""

    def __init__(self, listeners: set[asyncio.Event]) -> None:
        self._listeners = listeners
        self._event = asyncio.Event()

    def __enter__(self) -> asyncio.Event:
        self._listeners.add(self._event)
        return self._event

    def __exit__(self, *_: object) -> None:
        self._listeners.discard(self._event)

"""The resources as the gateway knows them: every one from a watch, found by id, waited for."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import orjson
from t2v_api.api_key import GRANT_ANNOTATION, KEY_LABEL, ApiKey
from t2v_api.resource import GROUP, Phase, TextToVideoJobSpec
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.store import Key, Manifest, Store
from t2v_operator.core.keys import Claim, is_granted
from t2v_operator.core.names import stable_id
from t2v_operator.core.observe import observe_resource
from t2v_operator.core.observed import ObservedResource

from t2v_gateway.spending import DAY_SECONDS, Spent, ran

DIGEST_ANNOTATION = f"{GROUP}/idempotent-request"
"""On a resource made with an Idempotency-Key: the digest of the request that the key goes with."""
EVERY: Key = ("", "")
"""Stands for all videos."""
READ = ("name", "namespace", "uid", "generation", "creationTimestamp", "resourceVersion", "labels")


@dataclass(frozen=True, slots=True)
class Video:
    """One TextToVideoJob. Of ten thousand most are never asked for: it is kept as JSON."""

    id: int
    """The one in `status.id`, known before there is a status."""
    namespace: str
    name: str
    key_id: str
    """The key that it was made with, as the gateway has signed; empty where it has not."""
    track_id: str
    digest: str
    """Of the request that its Idempotency-Key goes with; empty where it has none."""
    created: str
    """In RFC 3339, which sorts by time."""
    phase: Phase
    """Pending where nobody has looked at its request yet."""
    pool: str
    """The GPU pool that it runs in; empty where that is not decided."""
    is_finished: bool
    ended: float
    """When, in seconds since 1970; 0 where it is not finished."""
    model_id: str
    gpus: int
    """That drew it; 0 where nobody has told."""
    ran_seconds: float
    """Of its attempts that are over."""
    running_since: float
    """In seconds since 1970; 0 where no attempt runs."""
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
    def uid(self) -> str:
        """Tells it from another one of the same name."""
        return self.resource.metadata.uid

    @property
    def resource_version(self) -> str:
        """The one that this is."""
        return self.resource.metadata.resource_version

    @property
    def labels(self) -> dict[str, str]:
        """The resource's."""
        labels: dict[str, str] | None = orjson.loads(self.document)["metadata"].get("labels")
        return labels or {}

    @property
    def spec(self) -> TextToVideoJobSpec | None:
        return self.resource.spec


def video_of(document: Manifest, secrets: Sequence[bytes]) -> Video:
    """What is kept of an object of the API. `secrets`: what the gateway signs with, or did."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    kept = {
        "metadata": {name: metadata[name] for name in READ if name in metadata},
        "spec": spec,
        "status": document.get("status"),
    }
    resource = observe_resource(document)
    status = resource.status
    ran_seconds, running_since = ran(status) if status else (0.0, 0.0)
    completed = status.completion_time if status and resource.is_finished else None
    drawn = status.resolved.execution if status and status.resolved else None
    return Video(
        id=stable_id(metadata["uid"]),
        namespace=metadata["namespace"],
        name=metadata["name"],
        key_id=_key_id(document, resource, secrets),
        digest=(metadata.get("annotations") or {}).get(DIGEST_ANNOTATION, ""),
        track_id=spec.get("trackId") or "",
        created=metadata["creationTimestamp"],
        phase=status.phase if status and resource.is_observed else Phase.PENDING,
        pool=(status.pool if status else None) or "",
        is_finished=resource.is_finished,
        ended=completed.timestamp() if completed else 0.0,
        model_id=resource.spec.model_id if resource.spec else "",
        gpus=(drawn.gpus or 1) if drawn else 0,
        ran_seconds=ran_seconds,
        running_since=0.0 if resource.is_finished else running_since,
        is_being_deleted=resource.is_being_deleted,
        document=orjson.dumps(kept),
    )


def _key_id(document: Manifest, resource: ObservedResource, secrets: Sequence[bytes]) -> str:
    """Whose it is: whoever may write resources can write a label, and nobody else can sign it."""
    metadata = document["metadata"]
    key_id: str = (metadata.get("labels") or {}).get(KEY_LABEL, "")
    if not key_id or resource.spec is None:
        return ""
    claim = Claim(key_id, (metadata.get("annotations") or {}).get(GRANT_ANNOTATION, ""))
    return key_id if is_granted(claim, resource.metadata, resource.spec, secrets) else ""


class Videos:
    """Every video, whoever made it."""

    def __init__(
        self,
        client: Client,
        namespaces: Sequence[str],
        secrets: Sequence[bytes],
        gpus_of: Callable[[str], int] = lambda _: 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`secrets`: what the gateway signs with, or did. `gpus_of`: how many a model has."""
        self._secrets = secrets
        self._gpus_of = gpus_of
        self.clock = clock
        self._spent = Spent()
        self.store: Store[Video] = Store(self.read, self._index, self._told)
        self.reflectors = [
            Reflector(client, RESOURCES, scope, self.store) for scope in namespaces or (None,)
        ]
        self._by_id: dict[int, Key] = {}
        self._by_key: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        self._listeners: defaultdict[Key, set[asyncio.Event]] = defaultdict(set)
        self.is_closed = False
        """Whether the process ends: whoever waits gives up."""

    async def run(self) -> None:
        """Keep them in step with the API server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run())

    def close(self) -> None:
        """Nobody waits any more: the process ends."""
        self.is_closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.set()

    def read(self, document: Manifest) -> Video:
        """An object of the API as it is kept here."""
        return video_of(document, self._secrets)

    def get(self, key: Key) -> Video | None:
        return self.store.get(key)

    def by_id(self, video_id: int) -> Video | None:
        key = self._by_id.get(video_id)
        return self.store.get(key) if key else None

    def of_key(self, key: ApiKey) -> Iterator[Video]:
        """What was made with this key in its namespace, in no order."""
        places = list(self._by_key.get(key.id, ()))
        return filter(None, (self.store.get(each) for each in places if each[0] == key.namespace))

    def gpu_seconds(self, key: ApiKey) -> float:
        """That its videos have taken in 24 hours: those that ended, run, or are not there now."""
        now = self.clock()
        counted = (
            self._gpu_seconds(video, now)
            for video in self.of_key(key)
            if not video.is_finished or now - video.ended < DAY_SECONDS
        )
        return sum(counted) + self._spent.of(key.id, now)

    async def finished(self, key: Key, seconds: float) -> Video | None:
        """The video once it is finished, or as it is after so long; None where it is gone."""
        with self._listening(key) as changed, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (video := self.store.get(key)) and not (video.is_finished or self.is_closed):
                    await changed.wait()
                    changed.clear()
        return self.store.get(key)

    def changes(self) -> AbstractContextManager[asyncio.Event]:
        """An event that is set at each change of any video; whoever waits clears it."""
        return self._listening(EVERY)

    @contextlib.contextmanager
    def _listening(self, key: Key) -> Iterator[asyncio.Event]:
        changed = asyncio.Event()
        self._listeners[key].add(changed)
        try:
            yield changed
        finally:
            self._listeners[key].discard(changed)
            if not self._listeners[key]:
                del self._listeners[key]

    def _gpu_seconds(self, video: Video, now: float) -> float:
        running = max(0.0, now - video.running_since) if video.running_since else 0.0
        gpus = video.gpus or self._gpus_of(video.model_id)
        return (video.ran_seconds + running) * max(1, gpus)

    def _index(self, key: Key, before: Video | None, after: Video | None) -> None:
        if before and (after is None or (after.id, after.key_id) != (before.id, before.key_id)):
            now = self.clock()
            self._spent.add(before.key_id, before.ended or now, self._gpu_seconds(before, now))
        if before is not None and (after is None or after.id != before.id):
            self._by_id.pop(before.id, None)
        if before is not None and (after is None or after.key_id != before.key_id):
            self._by_key[before.key_id].pop(key, None)
        if after is not None:
            self._by_id[after.id] = key
            self._by_key[after.key_id][key] = None
        for listener in (*self._listeners.get(key, ()), *self._listeners.get(EVERY, ())):
            listener.set()

    def _told(self, *_: object) -> None:
        """What watches say and what own writes say is all one here."""

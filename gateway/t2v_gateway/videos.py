"""The resources as the gateway knows them: every one from a watch, found by id, waited for."""

import asyncio
import contextlib
import time
from collections import OrderedDict, defaultdict
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
LAG_SECONDS = 0.5
"""How far a watch may be behind."""
MOST_GONE = 10_000
"""Of those that were deleted, so many are remembered by their places."""
FIRST_NAME = 34
"""So many characters of a name say which repeated request it is of."""
READ = ("name", "namespace", "uid", "generation", "creationTimestamp", "resourceVersion", "labels")

Place = tuple[str, int]


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
    told_gpu_seconds: float
    """What its status says of earlier tries and runs as well; 0 where it says nothing."""
    running_since: float
    """In seconds since 1970; 0 where no attempt runs."""
    is_being_deleted: bool
    document: bytes

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    @property
    def place(self) -> Place:
        """Among others: by time, and always the same among those of one second."""
        return self.created, self.id

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


def is_of(key: ApiKey, video: Video) -> bool:
    """Whether it was made with this key, in its namespace."""
    return video.key_id == key.id and video.namespace == key.namespace


class Changes(asyncio.Event):
    """Set when something has changed; whoever waits takes what it was."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: set[Key] = set()

    def add(self, key: Key) -> None:
        self._keys.add(key)
        self.set()

    def take(self) -> set[Key]:
        """What has changed since the last time."""
        self.clear()
        taken, self._keys = self._keys, set()
        return taken


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
        told_gpu_seconds=(status.gpu_seconds if status else None) or 0.0,
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
        self._by_first_name: defaultdict[Key, dict[Key, None]] = defaultdict(dict)
        self._listeners: defaultdict[Key, set[Changes]] = defaultdict(set)
        self._gone: OrderedDict[int, tuple[tuple[str, str], Place]] = OrderedDict()
        """Whose the latest of those that are gone were, and their places."""
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

    def named(self, namespace: str, first: str) -> list[Video]:
        """Those whose names begin so: of one request that was repeated."""
        places = self._by_first_name.get((namespace, first[:FIRST_NAME]), ())
        return list(filter(None, map(self.store.get, places)))

    def gpu_seconds(self, key: ApiKey) -> float:
        """That its videos have taken in 24 hours: those that ended, run, or are not there now."""
        now = self.clock()
        counted = (
            self._gpu_seconds(video, now)
            for video in self.of_key(key)
            if not video.is_finished or now - video.ended < DAY_SECONDS
        )
        return sum(counted) + self._spent.of(key.id, now)

    async def own(self, key: ApiKey, video_id: int) -> Video | None:
        """The video of this id that was made with the key; None where there is none."""

        def found() -> Video | None:
            video = self.by_id(video_id)
            return video if video and is_of(key, video) else None

        return await self.awaited(key, found)

    async def awaited(self, key: ApiKey, find: Callable[[], Video | None]) -> Video | None:
        """What `find` finds among the key's videos; None where that is nothing.

        One that another replica has just made may be ahead of the watch here. What is not there
        and what is another key's are waited for alike: the time tells nothing.
        """
        with self._listening(_all_of(key.id)) as changed, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAG_SECONDS):
                while (video := find()) is None and not self.is_closed:
                    await changed.wait()
                    changed.take()
                return video
        return None

    async def finished(self, video: Video, seconds: float) -> Video | None:
        """The video once it is finished, or as it is after so long; None where it is gone.

        One that the watch here has not seen yet, as another replica made it, is not gone.
        """
        seen = False
        with self._listening(video.key) as changed, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.is_closed:
                    known = self._same(video)
                    if known.is_finished if known else seen:
                        break
                    seen = known is not None
                    await changed.wait()
                    changed.take()
        return self._same(video) or (None if seen else video)

    def changes(self) -> AbstractContextManager["Changes"]:
        """Every change of any video."""
        return self._listening(EVERY)

    def place_of(self, key: ApiKey, video_id: int) -> Place | None:
        """Where the key's video is among others, though it may be gone since; None: never seen."""
        video = self.by_id(video_id)
        if video is not None:
            return video.place if is_of(key, video) else None
        owner, place = self._gone.get(video_id, (None, None))
        return place if owner == (key.id, key.namespace) else None

    @contextlib.contextmanager
    def _listening(self, key: Key) -> Iterator["Changes"]:
        changed = Changes()
        self._listeners[key].add(changed)
        try:
            yield changed
        finally:
            self._listeners[key].discard(changed)
            if not self._listeners[key]:
                del self._listeners[key]

    def _gpu_seconds(self, video: Video, now: float) -> float:
        running = max(0.0, now - video.running_since) if video.running_since else 0.0
        gpus = max(1, video.gpus or self._gpus_of(video.model_id))
        return max(video.ran_seconds * gpus, video.told_gpu_seconds) + running * gpus

    def _index(self, key: Key, before: Video | None, after: Video | None) -> None:
        if before and (after is None or (after.id, after.key_id) != (before.id, before.key_id)):
            now = self.clock()
            self._spent.add(before.key_id, before.ended or now, self._gpu_seconds(before, now))
        if before is not None and (after is None or after.id != before.id):
            self._by_id.pop(before.id, None)
            self._remember(before)
        if before is not None and (after is None or after.key_id != before.key_id):
            self._by_key[before.key_id].pop(key, None)
        first = (key[0], key[1][:FIRST_NAME])
        if after is None:
            self._by_first_name[first].pop(key, None)
            if not self._by_first_name[first]:
                del self._by_first_name[first]
        else:
            self._by_first_name[first][key] = None
            self._by_id[after.id] = key
            self._by_key[after.key_id][key] = None
        owners = {each.key_id for each in (before, after) if each is not None}
        for heard in (key, EVERY, *map(_all_of, owners)):
            for listener in self._listeners.get(heard, ()):
                listener.add(key)

    def _remember(self, gone: Video) -> None:
        self._gone[gone.id] = (gone.key_id, gone.namespace), gone.place
        while len(self._gone) > MOST_GONE:
            self._gone.popitem(last=False)

    def _same(self, video: Video) -> Video | None:
        """As it is known by now: another one may have its name."""
        known = self.store.get(video.key)
        return known if known and known.id == video.id else None

    def _told(self, *_: object) -> None:
        """What watches say and what own writes say is all one here."""


def _all_of(key_id: str) -> Key:
    """Stands for all videos of a key."""
    return "", key_id

"""Remove a video's files with its resource, where its outputPolicy says so.

A finalizer holds the resource until they are gone; a store that stays away does not hold it for
ever.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from t2v_api.delivery import RECORD_FILE
from t2v_api.resource import OutputPolicy
from t2v_api.result import POSTER_FILE, PREVIEW_FILE, VIDEO_FILE

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.errors import ClusterError, NotLeader, TryAgain
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.cluster.recorder import Recorder
from t2v_operator.cluster.store import Key
from t2v_operator.cluster.work_queue import WorkQueue
from t2v_operator.config import OperatorConfig
from t2v_operator.core.events import Notice
from t2v_operator.core.names import OUTPUT_FINALIZER
from t2v_operator.core.observe import observe_resource
from t2v_operator.core.observed import ObservedJob, ObservedResource, Settled
from t2v_operator.core.places import folder_url, key_in_store
from t2v_operator.delivery.stores import Store, StoreUnavailable

WORKERS = 8
LETS_GO = timedelta(minutes=10)
"""After the deletion: then the files stay, and the resource goes."""
JOB_SECONDS = 2.0
"""Between two looks whether the Job is gone that could still upload."""
FILES = (RECORD_FILE, VIDEO_FILE, POSTER_FILE, PREVIEW_FILE)
"""The record first: without it the rest is no video."""

logger = logging.getLogger("t2v_operator")


class OutputCleaner:
    """Adds and removes the finalizer, and acts on it."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        effects: Effects,
        store: Store | None,
        recorder: Recorder,
        config: OperatorConfig,
        left: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        """`left` counts videos whose files could not be removed."""
        self._client = client
        self._cache = cache
        self._effects = effects
        self._store = store
        self._recorder = recorder
        self._config = config
        self._left = left
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue(self._work, self._told)

    def consider(self, key: Key) -> None:
        """Look whether the finalizer of this resource is to be changed or acted on."""
        resource = self._cache.resources.get(key)
        if resource is not None and resource.finalizer_is_due:
            self._queue.add(key)

    async def run(self) -> None:
        """Clean until cancelled."""
        await self._queue.run(WORKERS)

    async def _work(self, key: Key) -> float | None:
        document = await self._client.get(RESOURCES, *key)
        if document is None:
            return None
        resource = observe_resource(document)
        if not resource.finalizer_is_due:
            return None
        finalizers = [
            each
            for each in document["metadata"].get("finalizers") or ()
            if each != OUTPUT_FINALIZER
        ]
        if resource.is_being_deleted:
            if left := await self._remove_files(key, resource, document["metadata"]):
                return left
        elif resource.spec and resource.spec.output_policy is OutputPolicy.DELETE:
            if self._store is None:
                return None
            finalizers.append(OUTPUT_FINALIZER)
        await self._write(key, document["metadata"], finalizers)
        return None

    async def _remove_files(
        self, key: Key, resource: ObservedResource, metadata: dict[str, str]
    ) -> float:
        """0 where the resource may go. Raises TryAgain while the store cannot be reached."""
        jobs = [job for job in self._cache.jobs_of(key) if job.owner_uid == resource.metadata.uid]
        if any(not job.is_finished for job in jobs):
            # What still runs could upload again.
            for job in jobs:
                await self._effects.delete_job(job.name, job.uid, key[0])
            return JOB_SECONDS
        keys = self._keys(key, resource, jobs)
        if self._store is None or not keys:
            return 0.0
        try:
            await self._store.remove(keys)
        except StoreUnavailable as error:
            since = datetime.fromisoformat(metadata["deletionTimestamp"])
            if self._clock() - since < LETS_GO:
                raise TryAgain(str(error)) from error
            self._left()
            text = f"the files were not removed in {LETS_GO.seconds} s: {error}"
            notice = Notice("Warning", "OutputNotRemoved", text)
            self._recorder.tell(resource.metadata, notice, self._clock())
            logger.warning("%s/%s: %s", *key, text)
        return 0.0

    def _keys(self, key: Key, resource: ObservedResource, jobs: list[ObservedJob]) -> list[str]:
        """Of every file that is nobody else's."""
        if self._store is None:
            return []
        places = {job.plan_text.output_url for job in jobs if job.plan_text}
        if resource.folder:
            places.add(folder_url(key[0], resource.folder, self._config))
        keys: list[str] = []
        for place in sorted(places):
            folder = key_in_store(place, key[0])
            if folder and not self._is_shared(key, folder.rpartition("/")[2]):
                keys += (f"{folder}/{name}" for name in FILES)
        return keys

    def _is_shared(self, key: Key, folder: str) -> bool:
        """Whether another resource of the namespace has the same video."""
        return any(
            other != key and other[0] == key[0] and resource.folder == folder
            for other, resource in self._cache.resources.items()
            if isinstance(resource, Settled) or not resource.is_being_deleted
        )

    async def _write(self, key: Key, metadata: dict[str, str], finalizers: list[str]) -> None:
        body = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": finalizers,
            }
        }
        try:
            answer = await self._client.patch(RESOURCES, *key, body)
        except ClusterError as error:
            if error.status == 409:
                raise TryAgain("the resource changed meanwhile") from error
            if error.status != 404:
                raise
        else:
            self._cache.resources.wrote(answer)

    def _told(self, key: Key, error: Exception, delay: float) -> None:
        level = logging.DEBUG if isinstance(error, NotLeader | TryAgain) else logging.WARNING
        logger.log(level, "%s/%s: its files: %s; again in %.1f s", *key, error, delay)

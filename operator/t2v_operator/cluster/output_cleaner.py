"""Remove a video's files with its resource, where its outputPolicy says so.

A finalizer holds the resource until they are gone; a store that stays away does not hold it for
ever.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from t2v_api.resource import OutputPolicy

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.errors import ClusterError, NotLeader, TryAgain
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.cluster.log_fields import about
from t2v_operator.cluster.output_files import OutputFiles
from t2v_operator.cluster.recorder import Recorder
from t2v_operator.cluster.store import Key, Manifest
from t2v_operator.cluster.work_queue import WorkQueue
from t2v_operator.core.events import Notice
from t2v_operator.core.names import OUTPUT_FINALIZER
from t2v_operator.core.observe import observe_resource
from t2v_operator.core.observed import ObservedResource
from t2v_operator.delivery.stores import StoreUnavailable

WORKERS = 8
LETS_GO = timedelta(minutes=10)
"""After the deletion: then the files stay, and the resource goes."""

logger = logging.getLogger("t2v_operator")


class StillThere(TryAgain):
    """What has to go before the resource does."""

    longest_seconds = 30.0


class OutputCleaner:
    """Adds and removes the finalizer, and acts on it."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        effects: Effects,
        files: OutputFiles,
        recorder: Recorder,
        left: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        """`left` counts videos whose files could not be removed."""
        self._client = client
        self._cache = cache
        self._effects = effects
        self._files = files
        self._recorder = recorder
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
        resource, metadata = observe_resource(document), document["metadata"]
        if not resource.finalizer_is_due:
            return None
        finalizers = [each for each in metadata.get("finalizers") or () if each != OUTPUT_FINALIZER]
        if resource.is_being_deleted:
            await self._remove_files(key, resource, metadata)
        elif resource.spec and resource.spec.output_policy is OutputPolicy.DELETE:
            if not self._files.can_be_removed:
                return None
            finalizers.append(OUTPUT_FINALIZER)
        await self._write(metadata, finalizers)
        return None

    async def _remove_files(self, key: Key, resource: ObservedResource, metadata: Manifest) -> None:
        """Raises TryAgain while the resource is to wait, which has an end."""
        since = datetime.fromisoformat(metadata["deletionTimestamp"])
        is_late = self._clock() - since >= LETS_GO
        if not await self._files.stop_uploads(key, resource) and not is_late:
            raise StillThere("its Job is still being removed")
        try:
            with self._files.held(key, resource) as files:
                await self._files.remove(files)
        except StoreUnavailable as error:
            if not is_late:
                raise StillThere(str(error)) from error
            self._left()
            text = f"the files were not removed in {LETS_GO.seconds} s: {error}"
            notice = Notice("Warning", "OutputNotRemoved", text)
            self._recorder.tell(resource.metadata, notice, self._clock())
            logger.warning("%s/%s: %s", *key, text, extra=about(key))

    async def _write(self, metadata: Manifest, finalizers: list[str]) -> None:
        try:
            await self._effects.write_finalizers(metadata, finalizers)
        except ClusterError as error:
            if error.status == 409:
                raise TryAgain("the resource changed meanwhile") from error
            raise

    def _told(self, key: Key, error: Exception, delay: float) -> None:
        level = logging.DEBUG if isinstance(error, NotLeader | TryAgain) else logging.WARNING
        words = "%s/%s: its files: %s; again in %.1f s"
        logger.log(level, words, *key, error, delay, extra=about(key))

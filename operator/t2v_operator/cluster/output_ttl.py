"""Delete finished resources, their files first, when `outputTtlSeconds` is over.

When that is, the resource itself says, so a restart forgets nothing. What something else keeps
(`core/keepers.py`) would be made again at once: it stays, without its files.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.effects import Effects, put_status
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
from t2v_operator.core.output_ttl import seconds_left, without_output
from t2v_operator.delivery.stores import StoreUnavailable

WORKERS = 8
WRITE_TRIES = 10
LATER_SECONDS = 3600.0
"""What is not due yet is looked at within that time."""

logger = logging.getLogger("t2v_operator")


class OutputTtl:
    """The resources whose time is measured."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        effects: Effects,
        files: OutputFiles,
        recorder: Recorder,
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._cache = cache
        self._effects = effects
        self._files = files
        self._recorder = recorder
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue(self._work, self._told)

    def consider(self, key: Key) -> None:
        """Look when the files of this resource are to go."""
        resource = self._cache.resources.get(key) if self._files.can_be_removed else None
        left = seconds_left(resource, self._clock()) if resource else None
        if left is None:
            self._queue.forget(key)
        else:
            self._queue.add_later(key, left)

    async def run(self) -> None:
        """Delete until cancelled."""
        await self._queue.run(WORKERS)

    async def _work(self, key: Key) -> float | None:
        try:
            return await self._look(key)
        except StoreUnavailable as error:
            words = "%s/%s: its files are not removed yet: %s"
            logger.warning(words, *key, error, extra=about(key))
            raise TryAgain(str(error)) from error
        except ClusterError as error:
            if error.status == 409:
                raise TryAgain("the resource changed meanwhile") from error
            raise

    async def _look(self, key: Key) -> float | None:
        """What the cache knows may be old: the resource itself decides."""
        document = await self._client.get(RESOURCES, *key)
        if document is None:
            return None
        resource = observe_resource(document)
        left = seconds_left(resource, self._clock())
        if left is None or left > 0:
            # The queue spreads what is due much later, in proportion.
            return left if left is None else min(left, LATER_SECONDS)
        if not resource.keeper:
            await self._delete(resource, document["metadata"])
            return None
        if not await self._files.stop_uploads(key, resource):
            raise TryAgain("its Job is still being removed")
        with self._files.held(key, resource) as files:
            await self._files.remove(files)
            await self._say(resource)
        return None

    async def _delete(self, resource: ObservedResource, metadata: Manifest) -> None:
        """The finalizer lets it go after its files (`output_cleaner`), and not before."""
        finalizers = metadata.get("finalizers") or ()
        if OUTPUT_FINALIZER not in finalizers:
            held = await self._effects.write_finalizers(metadata, (*finalizers, OUTPUT_FINALIZER))
            if held is None:
                return
            metadata = held["metadata"]
        await self._effects.delete_resource(metadata)
        self._tell(resource, "the resource is deleted, as outputTtlSeconds says")

    async def _say(self, resource: ObservedResource) -> None:
        """The files are gone, so whatever else changes the resource meanwhile, it is said."""
        found: ObservedResource | None = resource
        for _ in range(WRITE_TRIES):
            if found is None or not _is_about(found, resource):
                return
            assert resource.spec
            assert found.status
            status = without_output(
                found.status, resource.spec.output_ttl_seconds, resource.keeper, self._clock()
            )
            try:
                written = await put_status(self._client, found.metadata, status)
            except ClusterError as error:
                if error.status != 409:
                    raise
                found = await self._effects.resource(
                    resource.metadata.namespace, resource.metadata.name
                )
                continue
            if written is not None:
                self._cache.resources.wrote(written)
                self._tell(resource, status.message)
            return
        raise TryAgain("the resource changes all the time")

    def _tell(self, resource: ObservedResource, text: str) -> None:
        metadata = resource.metadata
        self._recorder.tell(metadata, Notice("Normal", "OutputTtlOver", text), self._clock())
        key = (metadata.namespace, metadata.name)
        logger.info("%s/%s: %s", *key, text, extra=about(key))

    def _told(self, key: Key, error: Exception, delay: float) -> None:
        level = logging.DEBUG if isinstance(error, NotLeader | TryAgain) else logging.WARNING
        words = "%s/%s: its outputTtlSeconds: %s; again in %.1f s"
        logger.log(level, words, *key, error, delay, extra=about(key))


def _is_about(found: ObservedResource, emptied: ObservedResource) -> bool:
    """Whether it still is the same resource with the same request."""
    same = found.metadata.uid == emptied.metadata.uid
    return same and found.request_hash == emptied.request_hash and found.is_finished

"""Remove a checkpoint from the store once nobody will go on from it.

It outlives pods, and Jobs that are made anew elsewhere; it goes with success, with another request,
and with the resource. That a Job is over or gone is what asks for it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from t2v_api.delivery import CHECKPOINT_FILE
from t2v_api.resource import Phase

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.errors import TryAgain
from t2v_operator.cluster.store import Key
from t2v_operator.cluster.work_queue import WorkQueue
from t2v_operator.config import OperatorConfig
from t2v_operator.core.observed import ObservedJob, Settled
from t2v_operator.core.places import key_in_store
from t2v_operator.delivery.stores import Store, StoreUnavailable

WORKERS = 2

logger = logging.getLogger("t2v_operator")


@dataclass(frozen=True)
class _Left:
    """What a Job has left, perhaps."""

    owner: Key
    owner_uid: str
    job_name: str
    place: str
    is_made: bool
    """Its video is: the resource is about to say so."""


class CheckpointCleaner:
    """Looks after the checkpoints of Jobs that are over."""

    def __init__(self, cache: Cache, store: Store | None, config: OperatorConfig) -> None:
        """Without a store there is nothing to do: on a volume the runner removes its own."""
        self._cache = cache
        self._store = store
        self._prefix = config.storage.prefix
        self._queue: WorkQueue[_Left] = WorkQueue(self._work, self._told)

    def over(self, owner: Key, job: ObservedJob) -> None:
        """The Job is complete, or gone with its pods."""
        if self._store is not None and job.plan_text is not None:
            place = job.plan_text.output_url
            left = _Left(owner, job.owner_uid, job.name, place, job.is_complete)
            self._queue.add(left)

    async def run(self) -> None:
        """Clean until cancelled."""
        await self._queue.run(WORKERS)

    async def _work(self, left: _Left) -> None:
        folder = key_in_store(left.place, left.owner[0], self._prefix)
        if self._store is None or folder is None or self._is_wanted(left):
            return
        try:
            await self._store.remove([f"{folder}/{CHECKPOINT_FILE}"])
        except StoreUnavailable as error:
            raise TryAgain(str(error)) from error

    def _is_wanted(self, left: _Left) -> bool:
        """Whether some Job makes the video, or a resource that has not got it may make it again."""
        return any(self._makers(left)) or (not left.is_made and self._is_unfinished(left))

    def _makers(self, left: _Left) -> Iterator[ObservedJob]:
        """One that is held makes it later."""
        for _, job in self._cache.makers_of(left.owner[0], left.place):
            yield job
        for job in self._cache.jobs_of(left.owner):
            same = job.plan_text is not None and job.plan_text.output_url == left.place
            if same and not job.is_finished and not job.is_being_deleted:
                yield job

    def _is_unfinished(self, left: _Left) -> bool:
        """One that failed may be told to try again."""
        resource = self._cache.resources.get(left.owner)
        match resource:
            case None:
                return False
            case Settled():
                return resource.uid == left.owner_uid and resource.phase != Phase.SUCCEEDED
        if resource.is_being_deleted or resource.metadata.uid != left.owner_uid:
            return False
        status = resource.status
        has_it = resource.is_finished and status is not None and status.phase is Phase.SUCCEEDED
        return left.job_name in resource.job_names and not has_it

    def _told(self, left: _Left, error: Exception, delay: float) -> None:
        words = "%s/%s: its checkpoint is not removed yet: %s; again in %.1f s"
        logger.log(logging.WARNING, words, *left.owner, error, delay)

"""The files of a resource's videos in the store: which are nobody else's, and their removal."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from t2v_api.delivery import CHECKPOINT_FILE, RECORD_FILE
from t2v_api.result import POSTER_FILE, PREVIEW_FILE, VIDEO_FILE
from t2v_api.store_name import STORE

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.reuse import Reuse
from t2v_operator.cluster.store import Key
from t2v_operator.config import OperatorConfig
from t2v_operator.core.observed import ObservedJob, ObservedResource, Settled
from t2v_operator.core.places import folder_url, key_in_store
from t2v_operator.core.record import read_record
from t2v_operator.delivery.stores import Store, StoreUnavailable

FILES = (RECORD_FILE, VIDEO_FILE, POSTER_FILE, PREVIEW_FILE, CHECKPOINT_FILE)
"""The record first: without it the rest is no video."""
AWAY_SECONDS = 5.0
"""So long a store that did not answer is not asked again."""


class OutputFiles:
    """Removes files; when, its users say."""

    def __init__(
        self,
        cache: Cache,
        effects: Effects,
        store: Store | None,
        reuse: Reuse,
        config: OperatorConfig,
    ) -> None:
        self._cache = cache
        self._effects = effects
        self._store = store
        self._reuse = reuse
        self._config = config
        self._is_away_until = -math.inf

    @property
    def can_be_removed(self) -> bool:
        """Whether they are in a store: on a volume the operator reaches none."""
        return self._store is not None

    async def stop_uploads(self, key: Key, resource: ObservedResource) -> bool:
        """Remove the Job that still could. True when there is none any more."""
        jobs = self._jobs(key, resource)
        if all(job.is_finished for job in jobs):
            return True
        for job in jobs:
            if not job.is_being_deleted:
                await self._effects.delete_job(job.name, job.uid, key[0])
        return False

    @contextmanager
    def held(self, key: Key, resource: ObservedResource) -> Iterator[list[str]]:
        """The keys of the resource's files that are nobody else's, nor become so in the block.

        Raises TryAgain while another resource looks whether the video is there.
        """
        with ExitStack() as held:
            keys: list[str] = []
            for place, names in sorted(self._places(key, resource).items()):
                folder = key_in_store(place, key[0], self._config.storage.prefix)
                if folder is None:
                    continue
                held.enter_context(self._reuse.held(place))
                if not self._is_needed(key, folder.rpartition("/")[2]):
                    keys += (f"{folder}/{name}" for name in names)
            yield keys

    async def remove(self, keys: Sequence[str]) -> None:
        """Raises StoreUnavailable: a store that hangs is not asked by each in turn."""
        if self._store is None or not keys:
            return
        if time.monotonic() < self._is_away_until:
            raise StoreUnavailable("the store did not answer just now")
        try:
            await self._store.remove(keys)
        except StoreUnavailable:
            self._is_away_until = time.monotonic() + AWAY_SECONDS
            raise

    def _jobs(self, key: Key, resource: ObservedResource) -> list[ObservedJob]:
        jobs = self._cache.jobs_of(key)
        return [job for job in jobs if job.owner_uid == resource.metadata.uid]

    def _places(self, key: Key, resource: ObservedResource) -> dict[str, Sequence[str]]:
        """With what it may have left there."""
        places: dict[str, Sequence[str]] = {}
        if folder := resource.unfinished_folder:
            # A video that is there is another's, which somebody kept.
            places[folder_url(key[0], folder, self._config)] = (CHECKPOINT_FILE,)
        jobs = self._jobs(key, resource)
        places |= {job.plan_text.output_url: FILES for job in jobs if job.plan_text}
        if resource.folder:
            places[folder_url(key[0], resource.folder, self._config)] = FILES
        return places

    def _is_needed(self, key: Key, folder: str) -> bool:
        """Whether another resource of the namespace has the same video, makes it, or one of it."""
        return any(
            other != key and other[0] == key[0] and self._has(other, resource, folder)
            for other, resource in self._cache.resources.items()
        )

    def _has(self, key: Key, resource: ObservedResource | Settled, folder: str) -> bool:
        if isinstance(resource, Settled):
            return resource.folder == folder
        if resource.is_being_deleted:
            return False
        record = read_record(resource)
        if folder in (resource.folder, record.folder if record else None):
            return True
        if resource.is_finished:
            return False
        media = resource.spec.media if resource.spec else ()
        made = (job.plan_text.output_url for job in self._jobs(key, resource) if job.plan_text)
        is_made = any(url.endswith(f"/{folder}") for url in made)
        return is_made or any(url.startswith(f"{STORE}{folder}/") for url in media)

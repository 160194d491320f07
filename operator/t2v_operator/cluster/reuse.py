"""Before a Job is made: is its video in the store already, or does another Job make it?

Equal requests have one place in the store (docs/design/one-video-one-run.md).
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from t2v_api.resource import TextToVideoJobStatus

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.errors import TryAgain
from t2v_operator.cluster.store import Key
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decision import CreateJob, Decision
from t2v_operator.core.keys import key_id, key_named
from t2v_operator.core.observed import Observed, ObservedResource, StoredVideo
from t2v_operator.core.places import key_in_store
from t2v_operator.core.plan import Plan, read_plan
from t2v_operator.core.pools import too_small
from t2v_operator.delivery.stored import stored_record
from t2v_operator.delivery.stores import Store, StoreUnavailable

logger = logging.getLogger("t2v_operator")


def may_be_reused(plan: Plan, config: OperatorConfig) -> bool:
    """Whether it is wanted, and neither weights nor init media can change under their names."""
    return config.reuse and plan.model_is_pinned and not plan.request.media


class Reuse:
    """Knows which videos are being asked for at this very moment, and asks the store."""

    def __init__(self, cache: Cache, store: Store | None, config: OperatorConfig) -> None:
        """Without a store nothing is reused."""
        self._cache = cache
        self._store = store
        self._config = config
        self._claims: dict[str, Key] = {}
        self._held: set[str] = set()

    @asynccontextmanager
    async def looked_up(
        self, key: Key, observed: Observed, decision: Decision
    ) -> AsyncIterator[Observed]:
        """`observed`, with what makes the Job needless. In the block nobody else makes the video.

        The Job that the block makes is in the cache when it ends. Raises TryAgain while the files
        of an equal request are removed.
        """
        plan = self._plan(decision)
        if self._store is None or plan is None:
            yield observed
            return
        if not may_be_reused(plan, self._config):
            yield observed
            return
        place = plan.output_url
        if place in self._held:
            raise TryAgain("the files of this very video are being removed")
        twin = self._claims.get(place) or self._maker(key, plan, observed)
        if twin and twin != key:
            yield replace(observed, twin=twin[1])
            return
        self._claims[place] = key
        try:
            folder = key_in_store(place, key[0], self._config.storage.prefix)
            yield await self._with_stored(observed, plan, folder, self._store)
        finally:
            del self._claims[place]

    @contextmanager
    def held(self, place: str) -> Iterator[None]:
        """In the block nobody looks for the video of this place: its files are removed.

        Raises TryAgain while somebody does.
        """
        if place in self._claims or place in self._held:
            raise TryAgain("another resource looks for this very video")
        self._held.add(place)
        try:
            yield
        finally:
            self._held.discard(place)

    async def _with_stored(
        self, observed: Observed, plan: Plan, folder: str | None, store: Store
    ) -> Observed:
        if folder is None:
            return observed
        try:
            record = await stored_record(folder, store)
        except StoreUnavailable as error:
            # It is made again rather than waited for.
            logger.info("%s: not looked up: %s", plan.job_name, error)
            return observed
        return replace(observed, stored=StoredVideo(record, plan)) if record else observed

    def _plan(self, decision: Decision) -> Plan | None:
        made = (each.manifest for each in decision.actions if isinstance(each, CreateJob))
        manifest = next(made, None)
        return read_plan(manifest) if manifest else None

    def _maker(self, key: Key, plan: Plan, observed: Observed) -> Key | None:
        """Another resource that makes the video at least as soon: same key, pool and queue."""
        status = observed.resource.status
        small = too_small(status.attempts if status else ())
        for owner, job in self._cache.makers_of(key[0], plan.output_url):
            other = self._other(owner, key, observed)
            goes_on = other is not None and other.metadata.uid == job.owner_uid
            same_key = job.key == key_id(observed.key)
            if goes_on and same_key and (job.plan is None or job.plan.pool not in small):
                return owner
        if small or observed.key:
            # It moves itself: of two that move, none waits for the other. And which key another
            # has, its Job alone says for certain.
            return None
        for owner in self._cache.moving_in(key[0]):
            other = self._other(owner, key, observed)
            if other is None or key_named(other.metadata, other.spec):
                continue
            if _draws(other.status, plan):
                return owner
        return None

    def _other(self, owner: Key, key: Key, observed: Observed) -> ObservedResource | None:
        """Another resource that goes on, and in the same way; None where it does not."""
        other, spec = self._cache.resources.get(owner), observed.resource.spec
        if owner == key or not isinstance(other, ObservedResource):
            return None
        if other.spec is None or spec is None or other.spec.suspend or other.spec.cancel:
            return None
        if other.is_being_deleted:
            return None
        same_way = (other.spec.pool, other.spec.queue_name) == (spec.pool, spec.queue_name)
        return other if same_way else None


def _draws(status: TextToVideoJobStatus | None, plan: Plan) -> bool:
    """Whether its Job, which is not there just now, makes the video of this plan."""
    resolved = status.resolved if status else None
    if resolved is None:
        return False
    return resolved.model_copy(update={"runner_image": plan.runner_image}) == plan.resolved

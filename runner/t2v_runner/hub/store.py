"""A folder of hub models, each whole or not there; processes and pods may share it.

Whoever has a model's folder from here shares its lock until the store is closed or the process
ends: as long, nobody drops it. Knows no families and loads nothing.
"""

import itertools
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from t2v_api.profile import ModelSource

from t2v_runner.errors import ModelNotInCache, StorageFailed
from t2v_runner.hub.asking import list_repository, read_document
from t2v_runner.hub.cache import Cache
from t2v_runner.hub.fetching import part_of
from t2v_runner.hub.listing import Listing
from t2v_runner.hub.lock import Lock
from t2v_runner.hub.needs import Choose, Need, total_bytes
from t2v_runner.hub.place import Place
from t2v_runner.hub.room import Arriving, make_room
from t2v_runner.hub.several import fetch_all
from t2v_runner.hub.sums import write_sums

LOOK_SECONDS = 1.0
"""Between two looks at how much of a model is there."""

Tell = Callable[[int, int], None]
"""Called with how many bytes of how many are there. Raises, where the download shall end."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelStore:
    """The hub models in a cache."""

    cache: Cache
    tell: Tell
    look_seconds: float = LOOK_SECONDS
    held: dict[str, Lock] = field(default_factory=dict)
    """By the names of the places whose models were asked for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self.held:
            self.held.popitem()[1].close()

    def folder_of(self, source: ModelSource, choose: Choose) -> Path:
        """The folder of a hub model. What is not there is fetched, or waited for.

        A commit that is there costs no request. Raises ModelNotLoadable, ModelNotInCache,
        StorageFailed, and what `tell` raises.
        """
        what = f"hub model {source.hub} at {source.revision}"
        try:
            return self._place_of(source, choose, what).folder
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise StorageFailed(f"{what}: it cannot be kept in {self.cache.root}: {why}") from None

    def _place_of(self, source: ModelSource, choose: Choose, what: str) -> Place:
        assert source.hub
        assert source.revision
        if source.is_pinned:
            place = Place.of(self.cache.root, source.hub, source.revision)
            if self._is_there(place):
                return place
        if self.cache.is_read_only:
            raise ModelNotInCache(
                f"{what} is not in the cache at {self.cache.root}; "
                "the VideoModel has to be prefetched"
            )
        listing = list_repository(source.hub, source.revision)
        place = Place.of(self.cache.root, source.hub, listing.commit)
        if not self._is_there(place):
            needs = choose(listing, partial(read_document, listing))
            self.held[place.name] = _Arrival(self, listing, needs, place).complete()
        return place

    def _is_there(self, place: Place) -> bool:
        """Whether it is; then it stays. What has no lock is never dropped, and needs none."""
        if place.name in self.held or not place.lock.exists():
            return place.folder.is_dir()
        lock = Lock.open_to_share(place.lock)
        while place.folder.is_dir():
            if not lock.is_shared():
                time.sleep(self.look_seconds)  # somebody looks whether it is in use
            elif place.folder.is_dir():
                self.held[place.name] = lock
                if not self.cache.is_read_only:
                    os.utime(place.lock)
                return True
        lock.close()
        return False


@dataclass(frozen=True)
class _Arrival:
    """One model on its way into the store."""

    store: ModelStore
    listing: Listing
    needs: Sequence[Need]
    place: Place

    def complete(self) -> Lock:
        """Fetch it, or wait until another process has. Its lock is shared then.

        Raises OSError, RunnerError.
        """
        self.place.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock.open(self.place.lock)
        try:
            self._complete(lock)
        except BaseException:
            lock.close()
            raise
        return lock

    def _complete(self, lock: Lock) -> None:
        for tries in itertools.count():
            if lock.is_ours_alone():
                if not self.place.folder.is_dir():
                    self._fetch(lock)
                lock.is_shared()
                return
            # It is there, and others read it: they have the lock for as long as they do.
            if self.place.folder.is_dir() and lock.is_shared() and self.place.folder.is_dir():
                return
            self._wait(tries)

    def _fetch(self, lock: Lock) -> None:
        part = self.place.part
        self._drop_what_is_not_needed()
        total = total_bytes(self.needs)
        new = Arriving(str(self.listing), self.place, lock, total, self._present())
        make_room(self.store.cache, new, self.store.held, self._wait_for_room)
        self._look()
        missing = [need for need in self.needs if not (part / need.name).exists()]
        fetch_all(self.listing, missing, part, self._look, self.store.look_seconds)
        self._look()
        write_sums(self.place, self.needs)
        part.rename(self.place.folder)

    def _wait(self, tries: int) -> None:
        """What the other process has fetched is progress here as well."""
        if tries == 0:
            logger.info("%s: another process fetches it", self.listing)
        self._wait_for_room(tries)

    def _wait_for_room(self, tries: int) -> None:
        self._look()
        time.sleep(self.store.look_seconds)

    def _look(self) -> None:
        self.store.tell(self._present(), total_bytes(self.needs))

    def _present(self) -> int:
        return sum(_bytes_of(self.place.part / need.name) for need in self.needs)

    def _drop_what_is_not_needed(self) -> None:
        """An earlier version of the runner may have begun with other files."""
        targets = [self.place.part / need.name for need in self.needs]
        wanted = {*targets, *map(part_of, targets)}
        for path in self.place.part.rglob("*"):
            if path.is_file() and path not in wanted:
                path.unlink()


def _bytes_of(target: Path) -> int:
    for path in (target, part_of(target)):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            continue
    return 0

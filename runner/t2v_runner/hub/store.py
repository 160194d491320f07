"""A folder of hub models, each whole or not there; processes and pods may share it.

Whoever has a model's folder from here shares its lock until the store is closed or the process
ends: as long, nobody drops it. Knows no families and loads nothing.
"""

import itertools
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from t2v_api.profile import WeightsSource

from t2v_runner.errors import ModelNotInCache, StorageFailed
from t2v_runner.hub.asking import list_repository
from t2v_runner.hub.cache import Cache
from t2v_runner.hub.content import read_document
from t2v_runner.hub.converting import FORMATS, Conversion
from t2v_runner.hub.fetching import part_of
from t2v_runner.hub.kept import has_what_is_needed, is_at, is_broken, keep
from t2v_runner.hub.listing import Listing
from t2v_runner.hub.lock import Lock, Wait, alone
from t2v_runner.hub.needs import Choose, Need, total_bytes
from t2v_runner.hub.place import Place, bytes_below, files_below, place_of
from t2v_runner.hub.room import Arriving, drop, make_room
from t2v_runner.hub.several import fetch_all
from t2v_runner.hub.sums import add_sums, write_sums, write_sums_of_all

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

    def folder_of(self, source: WeightsSource, choose: Choose, file: str = "") -> Path:
        """The folder of a hub model. What is not there is fetched, or waited for.

        `file`: the one that `choose` takes of a repository that has many things. A commit that is
        there costs no request. Raises ModelNotLoadable, ModelNotInCache, StorageFailed, and what
        `tell` raises.
        """
        what = f"hub model {source.hub} at {source.revision}"
        try:
            return self._place_of(source, choose, what, file).folder
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise StorageFailed(f"{what}: it cannot be kept in {self.cache.root}: {why}") from None

    def _place_of(self, source: WeightsSource, choose: Choose, what: str, file: str) -> Place:
        assert source.hub
        assert source.revision
        if source.is_pinned:
            place = self._there(source.hub, source.revision, choose, file)
            if place:
                return place
        if self.cache.is_read_only:
            return self._brought(source, choose, what, file)
        listing = list_repository(source.hub, source.revision)
        self._keep_anew(listing, _place(self.cache.root, source.hub, listing.commit, file))
        place = self._there(source.hub, listing.commit, choose, file)
        if place:
            return place
        place = _place(self.cache.root, source.hub, listing.commit, file)
        needs = choose(listing, partial(read_document, listing))
        arrival = _Arrival(self, listing, needs, place)
        place.folder.parent.mkdir(parents=True, exist_ok=True)
        self.held[place.name] = _shared_when_whole(
            place, place.folder.is_dir, arrival.fetch, arrival.wait
        )
        arrival.add()
        return place

    def _keep_anew(self, listing: Listing, place: Place) -> None:
        """What the hub says of a commit, if what was kept of it is broken."""

        def wait(tries: int) -> None:
            self.tell(0, 0)
            time.sleep(self.look_seconds)

        if is_broken(place):
            with alone(place.adding, wait):
                keep(listing, place)

    def _brought(self, source: WeightsSource, choose: Choose, what: str, file: str) -> Place:
        """What a prefetch brings, which is waited for as long as the cache says."""
        assert source.hub
        assert source.revision
        # No folder has the name of a branch.
        seconds = self.cache.wait_seconds if source.is_pinned else 0
        until = time.monotonic() + seconds
        if seconds:
            logger.info("%s is not in the cache at %s yet: waiting", what, self.cache.root)
        while time.monotonic() < until:
            # How many bytes are to come, only the one knows that fetches them.
            self.tell(0, 0)
            time.sleep(self.look_seconds)
            place = self._there(source.hub, source.revision, choose, file)
            if place:
                return place
        waited = f" after {seconds:.0f} s" if seconds else ""
        raise ModelNotInCache(
            f"{what} is not in the cache at {self.cache.root}{waited}; "
            "the VideoModel has to be prefetched, and every namespace's claim to show its files"
        )

    def convert(self, folder: Path, conversion: Conversion, may_go_on: Callable[[], None]) -> Path:
        """The folder of the converted model, which takes the place of the one in `folder`.

        Raises StorageFailed, ModelNotLoadable, and what `may_go_on` raises.
        """
        original = place_of(folder)
        place = replace(original, converted_to=conversion.name)

        def wait(tries: int) -> None:
            may_go_on()
            time.sleep(self.look_seconds)

        def bring(lock: Lock) -> None:
            shutil.rmtree(place.part, ignore_errors=True)
            new = Arriving(place.name, place, lock, conversion.bytes, 0)
            make_room(self.cache, new, self.held, wait)
            conversion.write(place.part, may_go_on)
            write_sums_of_all(place)
            shutil.rmtree(place.folder, ignore_errors=True)  # of an original that had less
            place.part.rename(place.folder)

        def is_whole() -> bool:
            of_original = {file.relative_to(folder) for file in files_below(folder)}
            return of_original <= {
                file.relative_to(place.folder) for file in files_below(place.folder)
            }

        try:
            self.held[place.name] = _shared_when_whole(place, is_whole, bring, wait)
            own = self.held.pop(original.name, None)
            if own:
                own.close()
                drop(original)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise StorageFailed(f"{place.name}: it cannot be kept: {why}") from None
        return place.folder

    def _there(self, repository: str, commit: str, choose: Choose, file: str) -> Place | None:
        """Where the commit has all that is needed, as the hub has it or converted."""
        place = _place(self.cache.root, repository, commit, file)
        converted = () if file else (replace(place, converted_to=each) for each in FORMATS)
        forms = (place, *converted)
        return next((each for each in forms if self._has(each, choose)), None)

    def _has(self, place: Place, choose: Choose) -> bool:
        if not self._is_there(place):
            return False
        if has_what_is_needed(place, choose):
            return True
        lock = self.held.pop(place.name, None)
        if lock:
            lock.close()
        return False

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


def _place(root: Path, repository: str, commit: str, file: str) -> Place:
    return Place(root, repository.replace("/", "--"), commit, file=file.replace("/", "--"))


def _shared_when_whole(
    place: Place, is_whole: Callable[[], bool], bring: Callable[[Lock], None], wait: Wait
) -> Lock:
    """The place's lock, shared. What is not whole, `bring` brings, or another process does.

    Raises what those two raise, and OSError.
    """
    lock = Lock.open(place.lock)
    try:
        for tries in itertools.count():
            if lock.is_ours_alone():
                if not is_whole():
                    bring(lock)
                break
            # It is there, and others read it: they have the lock for as long as they do.
            if is_whole() and lock.is_shared() and is_whole():
                return lock
            wait(tries)
        lock.is_shared()
    except BaseException:
        lock.close()
        raise
    return lock


@dataclass(frozen=True)
class _Arrival:
    """One model on its way into the store."""

    store: ModelStore
    listing: Listing
    needs: Sequence[Need]
    place: Place

    def fetch(self, lock: Lock) -> None:
        """All of it. The lock is the place's, and held alone. Raises OSError, RunnerError."""
        part = self.place.part
        self._drop_what_is_not_needed()
        total = total_bytes(self.needs)
        new = Arriving(str(self.listing), self.place, lock, total, self._present())
        make_room(self.store.cache, new, self.store.held, self._wait_for_room)
        self._look()
        self._fetch_missing(part)
        write_sums(self.place, self.needs)
        keep(self.listing, self.place)
        part.rename(self.place.folder)

    def add(self) -> None:
        """What the folder lacks of the needs: it was fetched for others. Nobody who reads it waits.

        Its lock is shared. Raises OSError, RunnerError.
        """
        folder = self.place.folder
        if all(is_at(folder, need) for need in self.needs):
            return
        lock = self.store.held[self.place.name]
        with alone(self.place.adding, self.wait):
            there = bytes_below(folder)
            total = there + total_bytes(self.needs) - self._present()
            new = Arriving(str(self.listing), self.place, lock, total, there)
            make_room(self.store.cache, new, self.store.held, self._wait_for_room)
            self._look()
            self._fetch_missing(folder)
            add_sums(self.place, self.needs)

    def _fetch_missing(self, folder: Path) -> None:
        """Indexes come last: before their shards they would mislead whoever reads the folder."""
        missing = [need for need in self.needs if not is_at(folder, need)]
        indexes = [need for need in missing if ".index." in need.name]
        others = [need for need in missing if need not in indexes]
        for needs in (others, indexes):
            fetch_all(self.listing, needs, folder, self._look, self.store.look_seconds)
        self._look()

    def wait(self, tries: int) -> None:
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
        place = self.place
        folder = place.folder if place.folder.is_dir() else place.part
        return sum(_bytes_of(folder, need) for need in self.needs)

    def _drop_what_is_not_needed(self) -> None:
        """An earlier version of the runner may have begun with other files, or other variants."""
        part = self.place.part
        wanted = {part_of(part / need.name) for need in self.needs}
        wanted |= {part / need.name for need in self.needs if is_at(part, need)}
        for path in part.rglob("*"):
            if path.is_file() and path not in wanted:
                path.unlink()


def _bytes_of(folder: Path, need: Need) -> int:
    """What is there of a file; never more than it has, whatever was sent or left."""
    if is_at(folder, need):
        return need.file.size
    try:
        return min(part_of(folder / need.name).stat().st_size, need.file.size)
    except FileNotFoundError:
        return 0

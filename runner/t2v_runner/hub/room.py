"""Make room for a model: where the store has a limit, what was not used for longest goes.

Nothing goes that another process reads or fetches (its lock says so), that this one reads, or that
the environment names. What has no lock was put there by hand, and stays.
"""

import logging
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from t2v_runner.errors import ModelNotLoadable, StorageFailed
from t2v_runner.hub.cache import Cache
from t2v_runner.hub.lock import Lock, Wait, alone
from t2v_runner.hub.place import Place, bytes_below, places

LOCK = ".room.lock"
"""Of the store: one process at a time makes room, and says what its model will take."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arriving:
    """A model that needs room."""

    what: str
    """For messages."""
    place: Place
    lock: Lock
    """The place's, which this process has alone."""
    total: int
    """Bytes of all of it."""
    present: int

    @property
    def missing(self) -> int:
        return self.total - self.present


def make_room(cache: Cache, new: Arriving, own: Collection[str], wait: Wait) -> None:
    """Whatever is to come of `new` has room afterwards, and nobody else counts on it.

    `own` names the places that this process reads. Raises StorageFailed, ModelNotLoadable, OSError,
    and what `wait` raises.
    """
    if cache.limit is None:
        _check_free(cache, new)
        new.lock.write(str(new.total))
        return
    if new.total > cache.limit:
        raise ModelNotLoadable(
            f"{new.what} has {in_gb(new.total)}; {cache.root} may hold {in_gb(cache.limit)} "
            "(T2V_MODELS_CACHE_BYTES): allow it more"
        )
    with alone(cache.root / LOCK, wait):
        _drop_idle(cache, cache.limit, new, own)
        new.lock.write(str(new.total))


def in_gb(count: int) -> str:
    return f"{count / 1e9:.2f} GB"


def _check_free(cache: Cache, new: Arriving) -> None:
    free = shutil.disk_usage(cache.root).free
    if new.missing > free:
        raise StorageFailed(
            f"{new.what}: {in_gb(new.missing)} are to come and {cache.root} has "
            f"{in_gb(free)} free: make room there, or take a larger volume"
        )


def _drop_idle(cache: Cache, limit: int, new: Arriving, own: Collection[str]) -> None:
    idle, coming = [], 0
    for place in places(cache.root):
        if place.name in own or place == new.place:
            continue
        if place.asked_for not in cache.in_use and _is_idle(place):
            idle.append(place)
            continue
        # Who reads a volume that is mounted read-only cannot say so itself.
        os.utime(place.lock)
        coming += max(0, _claimed(place) - _bytes(place))

    def room() -> int:
        within = limit - bytes_below(cache.root)
        return min(within, shutil.disk_usage(cache.root).free) - coming

    goes = _least_recently_used(idle)
    while (left := room()) < new.missing:
        oldest = next(goes, None)
        if oldest is None:
            raise StorageFailed(
                f"{new.what}: {in_gb(new.missing)} are to come; {cache.root} may hold "
                f"{in_gb(limit)} and has room for {in_gb(max(0, left))}, and what else is there is "
                "in use: wait until it is not, or allow more"
            )
        logger.info("%s goes, to make room", oldest.name)
        drop(oldest)


def _least_recently_used(idle: Collection[Place]) -> Iterator[Place]:
    there = (place for place in idle if _bytes(place))
    return iter(sorted(there, key=lambda place: place.lock.stat().st_mtime_ns))


def _is_idle(place: Place) -> bool:
    with Lock.open(place.lock) as lock:
        return lock.is_ours_alone()


def drop(place: Place) -> None:
    """Remove a model, unless another process reads it.

    It is part of one first: what is left, should this process be killed, is never loaded.
    """
    with Lock.open(place.lock) as lock:
        if not lock.is_ours_alone():
            return
        if place.folder.is_dir():
            place.folder.rename(place.part)
        shutil.rmtree(place.part)
        place.sums.unlink(missing_ok=True)


def _claimed(place: Place) -> int:
    """The bytes that it will have when it is whole, as its last fetcher wrote."""
    return int(place.lock.read_text() or 0)


def _bytes(place: Place) -> int:
    return bytes_below(place.folder) + bytes_below(place.part)

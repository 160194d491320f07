"""A folder of hub models, each whole or not there; processes and pods may share it.

    OWNER--NAME/COMMIT/        a model, as diffusers loads it
    OWNER--NAME/COMMIT.part/   what there is of one that is being fetched
    OWNER--NAME/COMMIT.lock    whoever holds it fetches

Knows no families and loads nothing.
"""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from t2v_api.profile import ModelSource

from t2v_runner.errors import StorageFailed
from t2v_runner.hub.asking import list_repository, read_document
from t2v_runner.hub.fetching import part_of
from t2v_runner.hub.listing import Listing
from t2v_runner.hub.lock import locked
from t2v_runner.hub.needs import Choose, Need, total_bytes
from t2v_runner.hub.several import fetch_all

LOOK_SECONDS = 1.0
"""Between two looks at how much of a model is there."""

Tell = Callable[[int, int], None]
"""Called with how many bytes of how many are there. Raises, where the download shall end."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelStore:
    """The hub models below `root`."""

    root: Path
    tell: Tell
    look_seconds: float = LOOK_SECONDS

    def folder_of(self, source: ModelSource, choose: Choose) -> Path:
        """The folder of a hub model. What is not there is fetched, or waited for.

        A commit that is there costs no request. Raises ModelNotLoadable, StorageFailed, and what
        `tell` raises.
        """
        assert source.hub
        assert source.revision
        if source.is_pinned and (there := self._place(source.hub, source.revision)).is_dir():
            return there
        listing = list_repository(source.hub, source.revision)
        folder = self._place(source.hub, listing.commit)
        if folder.is_dir():
            return folder
        needs = choose(listing, partial(read_document, listing))
        try:
            _Arrival(self, listing, needs, folder).complete()
        except OSError as error:
            what = error.strerror or type(error).__name__
            raise StorageFailed(f"{listing}: it cannot be kept in {self.root}: {what}") from None
        return folder

    def _place(self, repository: str, commit: str) -> Path:
        return self.root / repository.replace("/", "--") / commit


@dataclass(frozen=True)
class _Arrival:
    """One model on its way into the store."""

    store: ModelStore
    listing: Listing
    needs: Sequence[Need]
    folder: Path

    @property
    def part(self) -> Path:
        return part_of(self.folder)

    def complete(self) -> None:
        """Fetch it, or wait until another process has. Raises OSError, RunnerError."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.folder.with_name(f"{self.folder.name}.lock"), self._wait):
            if self.folder.is_dir():
                return
            self._drop_what_is_not_needed()
            self._check_room()
            self._look()
            missing = [need for need in self.needs if not (self.part / need.name).exists()]
            fetch_all(self.listing, missing, self.part, self._look, self.store.look_seconds)
            self._look()
            self.part.rename(self.folder)

    def _wait(self, tries: int) -> None:
        """What the other process has fetched is progress here as well."""
        if tries == 0:
            logger.info("%s: another process fetches it", self.listing)
        self._look()
        time.sleep(self.store.look_seconds)

    def _look(self) -> None:
        self.store.tell(self._present(), total_bytes(self.needs))

    def _present(self) -> int:
        return sum(_bytes_of(self.part / need.name) for need in self.needs)

    def _drop_what_is_not_needed(self) -> None:
        """An earlier version of the runner may have begun with other files."""
        targets = [self.part / need.name for need in self.needs]
        wanted = {*targets, *map(part_of, targets)}
        for path in self.part.rglob("*"):
            if path.is_file() and path not in wanted:
                path.unlink()

    def _check_room(self) -> None:
        missing = total_bytes(self.needs) - self._present()
        free = shutil.disk_usage(self.folder.parent).free
        if missing > free:
            raise StorageFailed(
                f"{self.listing}: {_in_gb(missing)} are to come and {self.store.root} has "
                f"{_in_gb(free)} free: make room there, or take a larger volume"
            )


def _bytes_of(target: Path) -> int:
    for path in (target, part_of(target)):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            continue
    return 0


def _in_gb(count: int) -> str:
    return f"{count / 1e9:.2f} GB"

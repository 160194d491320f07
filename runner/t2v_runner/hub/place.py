"""Where a commit of a hub model stands in a store. Names alone.

OWNER--NAME/COMMIT/         a model, as diffusers loads it
OWNER--NAME/COMMIT.part/    what there is of one that is being fetched, or dropped
OWNER--NAME/COMMIT.sha256   the digests of its files, as `sha256sum -c` reads them
OWNER--NAME/COMMIT.lock     whoever fetches or drops it has this lock alone, readers share it;
                            the file's time is that of the last use
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    root: Path
    name: str
    """ "OWNER--NAME/COMMIT"."""

    @classmethod
    def of(cls, root: Path, repository: str, commit: str) -> "Place":
        return cls(root, f"{repository.replace('/', '--')}/{commit}")

    @property
    def folder(self) -> Path:
        return self.root / self.name

    @property
    def part(self) -> Path:
        return self.root / f"{self.name}.part"

    @property
    def sums(self) -> Path:
        return self.root / f"{self.name}.sha256"

    @property
    def lock(self) -> Path:
        return self.root / f"{self.name}.lock"


def places(root: Path) -> Iterator[Place]:
    """All that have a lock: what has none was not fetched, but put there."""
    for lock in root.glob("*/*.lock"):
        yield Place(root, f"{lock.parent.name}/{lock.stem}")


def files_below(folder: Path) -> list[Path]:
    """In order; none where there is no such folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def bytes_below(folder: Path) -> int:
    """What other processes take away meanwhile counts or does not."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(parent) / name).stat().st_size
    return total

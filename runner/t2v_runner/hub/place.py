"""Where a commit of a hub model stands in a store.

    OWNER--NAME/COMMIT/         a model, as diffusers loads it
    OWNER--NAME/COMMIT.part/    what there is of one that is being fetched, or dropped
    OWNER--NAME/COMMIT.sha256   the digests of its files, as `sha256sum -c` reads them
    OWNER--NAME/COMMIT.files    what the hub says that the commit has, needed or not
    OWNER--NAME/COMMIT.adding   whoever adds to a model that is there has this file's lock alone
    OWNER--NAME/COMMIT.lock     whoever fetches or drops it has this lock alone, readers share it;
                                the file's time is that of the last use
    OWNER--NAME/COMMIT-bf16/    the model with its weights converted; it has all of that, too
    OWNER--NAME/COMMIT--FILE/   one file of a repository that has many things; it, too

Knows names alone.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Place:
    root: Path
    model: str
    """ "OWNER--NAME"."""
    commit: str
    converted_to: str = ""
    """A number format, as hubs name variants; empty: it is as the hub has it."""
    file: str = ""
    """The one that is here, with -- for a slash; empty: it is a model."""

    @property
    def asked_for(self) -> str:
        """What names the model, converted or not."""
        return f"{self.model}/{self.commit}"

    @property
    def name(self) -> str:
        if self.file:
            return f"{self.asked_for}--{self.file}"
        return self.asked_for + (f"-{self.converted_to}" if self.converted_to else "")

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
    def listing(self) -> Path:
        """Of the commit, converted or not."""
        return self.root / f"{self.asked_for}.files"

    @property
    def adding(self) -> Path:
        return self.root / f"{self.name}.adding"

    @property
    def lock(self) -> Path:
        return self.root / f"{self.name}.lock"


def place_of(folder: Path) -> Place:
    """Of a model's folder in a store."""
    model = Place(folder.parent.parent, folder.parent.name, folder.name.partition("-")[0])
    rest = folder.name.removeprefix(model.commit)
    if rest.startswith("--"):
        return replace(model, file=rest.removeprefix("--"))
    return replace(model, converted_to=rest.removeprefix("-"))


def places(root: Path) -> Iterator[Place]:
    """All that have a lock: what has none was not fetched, but put there."""
    return (place_of(lock.with_suffix("")) for lock in root.glob("*/*.lock"))


def write_whole(path: Path, text: str) -> None:
    """Put a document to `path`, or leave there what is: others read it. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.rename(path)


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

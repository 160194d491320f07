"""Fetch one file: what is there is gone on with, what comes is compared with the hub's digest."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from t2v_runner.errors import StorageFailed
from t2v_runner.hub.content import MoreThanTold, request_bytes
from t2v_runner.hub.listing import HubFile, Listing

TRIES = 2
"""A file whose digest is wrong is fetched once more, from its beginning."""

MayGoOn = Callable[[], None]
"""Raises, where fetching shall end."""


def fetch(listing: Listing, file: HubFile, target: Path, may_go_on: MayGoOn) -> None:
    """Put the file to `target`, whole and as the hub says it is, or not at all.

    Raises ModelNotLoadable, StorageFailed, OSError, and what `may_go_on` raises; what has come by
    then stays beside it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(target)
    for _ in range(TRIES):
        try:
            _complete(listing, file, part, may_go_on)
        except MoreThanTold:
            part.unlink()
            raise
        if _is_as_told(part, file):
            part.rename(target)
            return
        part.unlink()
    raise StorageFailed(
        f"{listing}: {file.path}: what came has another digest than the hub says, twice; "
        "something on the way may change it"
    )


def _complete(listing: Listing, file: HubFile, part: Path, may_go_on: MayGoOn) -> None:
    with _Part(part, may_go_on) as stream:
        if stream.seek(0, os.SEEK_END) < file.size:
            request_bytes(listing, file, stream)
        stream.flush()
        os.fsync(stream.fileno())


def part_of(target: Path) -> Path:
    """What there is of a file that is not whole yet."""
    return target.with_name(f"{target.name}.part")


class _Part(io.BufferedRandom):
    """The file at `path`, there or not. Before each piece it asks whether to go on.

    A piece is written at its place, not at the end of whatever is there: of two processes that a
    file system without locks lets in, each writes the same.
    """

    def __init__(self, path: Path, may_go_on: MayGoOn) -> None:
        path.touch()
        super().__init__(io.FileIO(path, "r+"))
        self._may_go_on = may_go_on

    def write(self, piece: Any) -> int:
        self._may_go_on()
        return super().write(piece)


def _is_as_told(path: Path, file: HubFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    if not (file.sha256 or file.blob_id):
        return True  # a mirror that says no digest
    if file.sha256 is not None:
        digest, told = hashlib.sha256(), file.sha256
    else:
        # What git itself digests: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
        head = f"blob {file.size}\0".encode()
        digest, told = hashlib.sha1(head, usedforsecurity=False), file.blob_id
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: digest).hexdigest() == told

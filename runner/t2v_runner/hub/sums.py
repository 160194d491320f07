"""The digests of a model's files, one line each, as `sha256sum` writes and checks them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from t2v_runner.hub.needs import Need
from t2v_runner.hub.place import Place, files_below, write_whole


def write_sums(place: Place, needs: Iterable[Need]) -> None:
    """Of the files in the place's part. What the hub says is believed: it was compared."""
    write_whole(place.sums, _document(_of_needs(place.part, needs)))


def add_sums(place: Place, needs: Iterable[Need]) -> None:
    """Of files that have come into the place's folder, beside those of whatever was there."""
    lines = read_sums(place).splitlines()
    digests = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    write_whole(place.sums, _document(digests | _of_needs(place.folder, needs)))


def write_sums_of_all(place: Place) -> None:
    """Of whatever is in the place's part."""
    write_whole(place.sums, _of_all(place.part))


def read_sums(place: Place) -> str:
    """The document; where there is none, all of the folder is read."""
    if place.sums.exists():
        return place.sums.read_text(encoding="utf-8")
    return _of_all(place.folder)


def _of_needs(folder: Path, needs: Iterable[Need]) -> dict[str, str]:
    return {
        need.name: need.file.sha256 or _sha256(folder / need.name)  # small, if LFS has it not
        for need in needs
    }


def _of_all(folder: Path) -> str:
    files = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    return _document({name: _sha256(path) for name, path in files.items()})


def _document(digests: dict[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

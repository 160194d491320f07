"""What a hub said of a commit, kept beside its folder: whether a need is there costs no request.

A folder has what was needed when it was fetched. Another runner, or a profile that leaves fewer
components out, may need more of the same commit.
"""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

from t2v_runner.hub.content import parse
from t2v_runner.hub.listing import Document, HubFile, Listing
from t2v_runner.hub.needs import Choose, Need, kept_name
from t2v_runner.hub.place import Place, write_whole


def keep(listing: Listing, place: Place) -> None:
    """Raises OSError."""
    document = {
        "repository": listing.repository,
        "commit": listing.commit,
        "files": [asdict(file) for file in listing.files.values()],
    }
    write_whole(place.listing, json.dumps(document))


def has_what_is_needed(place: Place, choose: Choose) -> bool:
    """Whether the folder has all that `choose` chooses. What was put there by hand is believed.

    Raises ModelNotLoadable, OSError.
    """
    if not place.listing.exists():
        return True
    listing = _kept(place)
    if listing is None:
        return False
    try:
        needs = choose(listing, partial(_read, place.folder, listing))
    except FileNotFoundError:
        return False
    # What was converted has other sizes than the hub's.
    return all(
        (place.folder / need.name).exists() if place.converted_to else is_at(place.folder, need)
        for need in needs
    )


def is_broken(place: Place) -> bool:
    """Whether there is a list, and it cannot be read: its node lost its power, perhaps."""
    return place.listing.exists() and _kept(place) is None


def _kept(place: Place) -> Listing | None:
    try:
        document = json.loads(place.listing.read_text(encoding="utf-8"))
        files = {each["path"]: HubFile(**each) for each in document["files"]}
        return Listing(document["repository"], document["commit"], files)
    except (ValueError, KeyError, TypeError):
        return None


def is_at(folder: Path, need: Need) -> bool:
    """Whether the file is there in its whole length, and no other variant's in its place."""
    try:
        return (folder / need.name).stat().st_size == need.file.size
    except FileNotFoundError:
        return False


def _read(folder: Path, listing: Listing, file: HubFile) -> Document:
    return parse((folder / kept_name(file.path)).read_bytes(), f"{listing}: {file.path}")

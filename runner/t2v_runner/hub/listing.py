"""What a hub says of a repository: its commit and its files. Data alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HubFile:
    """A file as the hub describes it."""

    path: str
    """From the repository's root, with slashes."""
    size: int
    """Bytes."""
    blob_id: str
    """Git's own digest; of a file in LFS that of its pointer. Empty where a mirror says none."""
    sha256: str | None = None
    """Of the content. Files in LFS alone have it."""


@dataclass(frozen=True)
class Listing:
    """A repository at one commit."""

    repository: str
    """ "owner/name"."""
    commit: str
    files: Mapping[str, HubFile]
    """By their paths."""

    def __str__(self) -> str:
        return f"hub model {self.repository} at {self.commit}"

    def within(self, folder: str) -> dict[str, HubFile]:
        """The files that stand in `folder` itself, by their names."""
        start = f"{folder}/" if folder else ""
        return {
            path.removeprefix(start): file
            for path, file in self.files.items()
            if path.startswith(start) and "/" not in path.removeprefix(start)
        }


Document = dict[str, Any]
"""A JSON object of a repository."""

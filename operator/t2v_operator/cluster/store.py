"""What a watch has seen of one kind: the newest record of each object, and how new that is.

Own writes go in as well, so that their effects are not waited for and their echoes are no news. The
order of resourceVersions decides which of two is newer; etcd gives them in order.
"""

import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from t2v_operator.core.observe import version_of

Kept = TypeVar("Kept")
Key = tuple[str, str]
"""Namespace and name of an object."""
Scope = str | None
"""The namespace that a watch is of; None: all of them."""
Manifest = dict[str, Any]

Change = Callable[[Key, Any, Any], None]
"""Called with the key of an object, its record before and after; None where there is none."""


GONE_REMEMBERED = 1000

logger = logging.getLogger("t2v_operator")


class Store(Generic[Kept]):
    """The objects of one kind, as `keep` trims them."""

    def __init__(self, keep: Callable[[Manifest], Kept], indexed: Change, news: Change) -> None:
        """`indexed` follows every change, `news` is told of those that are not our own writes."""
        self._keep = keep
        self._indexed = indexed
        self._news = news
        self._kept: dict[Key, Kept] = {}
        self._versions: dict[Key, int] = {}
        self._positions: dict[Scope, int] = {}
        self._gone: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Kept | None:
        return self._kept.get(key)

    def items(self) -> list[tuple[Key, Kept]]:
        return list(self._kept.items())

    def position(self, namespace: str) -> int:
        """Everything of `namespace` up to this resourceVersion has been seen."""
        return self._positions.get(namespace, self._positions.get(None, 0))

    def page(self, documents: list[Manifest], position: int, scope: Scope) -> dict[Key, int]:
        """Take in a page of a list at `position`. Returns its keys and versions, for `sweep`."""
        seen = {}
        for document in documents:
            key, version = key_of(document), version_of(document)
            seen[key] = version
            if self._went_back(position, scope):
                self._versions.pop(key, None)
                self._gone.pop(key, None)
            self._take(key, version, document)
        return seen

    def sweep(self, seen: dict[Key, int], position: int, scope: Scope) -> None:
        """After the last page of a list at `position`: what is not in it is gone.

        What was written after the list stays; unless the list is older than what is known, as after
        a restore of etcd: then the list is right.
        """
        went_back = self._went_back(position, scope)
        for key, version in list(self._versions.items()):
            in_scope = scope is None or key[0] == scope
            if in_scope and key not in seen and (went_back or version <= position):
                self._drop(key)
        self._positions[scope] = position

    def event(self, kind: str, document: Manifest, scope: Scope) -> None:
        """Take in an event of the watch."""
        version = version_of(document)
        self._positions[scope] = max(self._positions.get(scope, 0), version)
        if kind == "BOOKMARK":
            return
        key = key_of(document)
        if kind != "DELETED":
            self._take(key, version, document)
        elif self._versions.get(key, 0) <= version:
            # Of two watches one may be ahead: what the other still tells of it is old.
            self._gone[key] = version
            while len(self._gone) > GONE_REMEMBERED:
                del self._gone[next(iter(self._gone))]
            self._drop(key, last=document)

    def wrote(self, document: Manifest, kept: Kept | None = None) -> None:
        """Take in what the API server answered to a write of ours, which is no news.

        Where the watch is past it, the watch has told already, perhaps of the object's end.
        """
        key, version = key_of(document), version_of(document)
        if version <= max(self.position(key[0]), self._versions.get(key, 0)):
            return
        before = self._kept.get(key)
        self._kept[key] = after = self._keep(document) if kept is None else kept
        self._versions[key] = version
        self._indexed(key, before, after)

    def _went_back(self, position: int, scope: Scope) -> bool:
        return position < self._positions.get(scope, 0)

    def _take(self, key: Key, version: int, document: Manifest) -> None:
        if max(self._versions.get(key, -1), self._gone.get(key, -1)) >= version:
            return
        self._versions[key] = version
        after = self._trimmed(key, document)
        if after is None:
            return
        before = self._kept.get(key)
        self._kept[key] = after
        self._indexed(key, before, after)
        self._news(key, before, after)

    def _trimmed(self, key: Key, document: Manifest) -> Kept | None:
        """One strange object, which anybody may make, must not end the watch of all others."""
        try:
            return self._keep(document)
        except Exception as error:
            logger.warning(
                "%s/%s cannot be read: %s", *key, f"{type(error).__name__} {error}"[:300]
            )
            return None

    def _drop(self, key: Key, last: Manifest | None = None) -> None:
        """`last` is the object at its end, which may say more than what was seen before."""
        self._versions.pop(key, None)
        before = self._kept.pop(key, None)
        if before is not None and last is not None:
            before = self._trimmed(key, last) or before
        if before is not None:
            self._indexed(key, before, None)
            self._news(key, before, None)


def key_of(document: Manifest) -> Key:
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]

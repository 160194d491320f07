"""Which objects are of which model: an index that follows a store."""

from collections import defaultdict

from t2v_operator.cluster.store import Key


class ByModel:
    """Keys by the name of a model."""

    def __init__(self) -> None:
        self._keys: defaultdict[str, set[Key]] = defaultdict(set)

    def move(self, key: Key, before: str | None, after: str | None) -> bool:
        """The object of this key was of one model, and is of another; None: of none.

        Returns whether that changed anything.
        """
        if before == after:
            return False
        if before is not None:
            keys = self._keys[before]
            keys.discard(key)
            if not keys:
                del self._keys[before]
        if after is not None:
            self._keys[after].add(key)
        return True

    def of(self, model: str) -> list[Key]:
        """The keys of one model."""
        return list(self._keys.get(model, ()))

"""A store whose refusals are counted. Knows nothing of what is done about them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from t2v_api.delivery import FileToUpload, Grant

from t2v_operator.cluster.store_address import NoAddressYet
from t2v_operator.delivery.stores import Store, StoredFile, StoreUnavailable

Answer = TypeVar("Answer")

OPERATIONS = ("grant", "grant_to_read", "link", "find", "read", "write", "remove")


class CountedStore:
    """Does what `store` does."""

    def __init__(self, store: Store, failed: Callable[[str], None]) -> None:
        """`failed` hears of each operation that the store did not do, by its name."""
        self._store = store
        self._failed = failed

    @property
    def prefix(self) -> str:
        return self._store.prefix

    def links_end(self) -> datetime | None:
        return self._store.links_end()

    async def grant(self, key: str, file: FileToUpload) -> Grant:
        return await self._counted("grant", self._store.grant(key, file))

    async def grant_to_read(self, key: str) -> str:
        return await self._counted("grant_to_read", self._store.grant_to_read(key))

    async def link(self, key: str) -> str:
        return await self._counted("link", self._store.link(key))

    async def find(self, key: str) -> StoredFile | None:
        return await self._counted("find", self._store.find(key))

    async def read(self, key: str) -> bytes | None:
        return await self._counted("read", self._store.read(key))

    async def write(self, key: str, body: bytes, seconds: float | None = None) -> None:
        await self._counted("write", self._store.write(key, body, seconds))

    async def remove(self, keys: Sequence[str]) -> None:
        await self._counted("remove", self._store.remove(keys))

    async def _counted(self, operation: str, work: Awaitable[Answer]) -> Answer:
        try:
            return await work
        except NoAddressYet:
            # The store is well; its Service's address takes its time.
            raise
        except StoreUnavailable:
            self._failed(operation)
            raise

"""Where videos are kept, seen from the operator: grants to upload, links to open, what is there.

A credential of a store stays in this process. A runner gets a URL for one file; a user, a link.
"""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout
from t2v_api.delivery import BODY_BYTES, FileToUpload, Grant, content_type

from t2v_operator.config import BucketStorage, ConfigurationError, EmbeddedStorage, OperatorConfig
from t2v_operator.delivery.signatures import Content, SigningKeys, signed_url

GRANT_SECONDS = 900
"""How long an upload may begin."""
READ_SECONDS = 300
"""How long a pod may begin to read a file."""
ANSWER_SECONDS = 5.0
SMALL_BYTES = BODY_BYTES
"""Of what is read whole: a record."""
OWN_SECONDS = 60
"""How long a URL lives that the operator makes for itself."""


class StoreUnavailable(Exception):
    """The store does not answer, or not as a store does."""


@dataclass(frozen=True)
class StoredFile:
    """What a store says of a file."""

    bytes: int
    md5: str = ""
    """In hex, where the store tells it."""

    def is_whole(self, file: FileToUpload) -> bool:
        """Whether it is this file, as far as the store tells."""
        return self.bytes == file.bytes and self.md5 in ("", file.md5)


class Store(Protocol):
    """Files by key: `videos/team/<digest>/video.mp4`."""

    @property
    def prefix(self) -> str:
        """What all keys of the installation begin with."""
        ...

    async def grant(self, key: str, file: FileToUpload) -> Grant:
        """The right to upload `file` as `key`. Raises StoreUnavailable."""
        ...

    async def grant_to_read(self, key: str) -> str:
        """What opens the file for a pod, from within the cluster. Raises StoreUnavailable."""
        ...

    async def link(self, key: str) -> str:
        """What opens the file in a browser. Raises StoreUnavailable."""
        ...

    def links_end(self) -> datetime | None:
        """When links that are made now end; None where they never do."""
        ...

    async def find(self, key: str) -> StoredFile | None:
        """None where there is no such file. Raises StoreUnavailable."""
        ...

    async def read(self, key: str) -> bytes | None:
        """A small file whole; None also where it is larger than `SMALL_BYTES`.

        Raises StoreUnavailable.
        """
        ...

    async def write(self, key: str, body: bytes, seconds: float | None = None) -> None:
        """A file whole, in `ANSWER_SECONDS` unless told otherwise. Raises StoreUnavailable."""
        ...

    async def remove(self, keys: Sequence[str]) -> None:
        """What is not there is no fault. Raises StoreUnavailable."""
        ...


PublicAddress = Callable[[], Awaitable[str]]
"""What links begin with, asked for each: it may change. Raises StoreUnavailable."""


def grants_end() -> datetime:
    """When grants that are made now end."""
    return _in(GRANT_SECONDS)


class EmbeddedStore:
    """`t2v store`, whose URLs we sign ourselves."""

    def __init__(
        self,
        config: EmbeddedStorage,
        keys: SigningKeys,
        session: ClientSession,
        address: PublicAddress | None = None,
    ) -> None:
        """Without an `address` links begin with the configured one."""
        self._config = config
        self._keys = keys
        self._session = session
        self._address = address
        self._inside = config.internal_url or config.url

    @property
    def prefix(self) -> str:
        return self._config.prefix

    async def grant(self, key: str, file: FileToUpload) -> Grant:
        ends = int(time.time()) + GRANT_SECONDS
        url = signed_url(self._inside, "PUT", key, self._keys, ends, file)
        return Grant(name=file.name, url=url)

    async def grant_to_read(self, key: str) -> str:
        ends = int(time.time()) + READ_SECONDS
        return signed_url(self._inside, "GET", key, self._keys, ends)

    async def link(self, key: str) -> str:
        ends = int(time.time()) + self._config.link_seconds
        base = await self._address() if self._address else self._config.url
        return signed_url(base, "GET", key, self._keys, ends)

    def links_end(self) -> datetime | None:
        return _in(self._config.link_seconds)

    async def find(self, key: str) -> StoredFile | None:
        status, headers, _ = await self._ask("HEAD", key)
        return StoredFile(int(headers["Content-Length"])) if status == 200 else None

    async def read(self, key: str) -> bytes | None:
        status, headers, body = await self._ask("GET", key)
        size = int(headers.get("Content-Length", 0))
        return body if status == 200 and size <= SMALL_BYTES else None

    async def write(self, key: str, body: bytes, seconds: float | None = None) -> None:
        content = Content(len(body), hashlib.sha256(body).hexdigest())
        url = signed_url(self._inside, "PUT", key, self._keys, self._soon(), content)
        status, _, _ = await self._request("PUT", url, body, seconds)
        if status != 201:
            raise StoreUnavailable(f"the store answered {status}")

    async def remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self._ask("DELETE", key)

    def _soon(self) -> int:
        return int(time.time()) + OWN_SECONDS

    async def _ask(self, method: str, key: str) -> tuple[int, Any, bytes]:
        right: Any = "DELETE" if method == "DELETE" else "GET"
        url = signed_url(self._inside, right, key, self._keys, self._soon())
        return await self._request(method, url)

    async def _request(
        self, method: str, url: str, body: bytes | None = None, seconds: float | None = None
    ) -> tuple[int, Any, bytes]:
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                timeout=ClientTimeout(seconds or ANSWER_SECONDS),
                allow_redirects=False,
            ) as answer:
                if answer.status not in (200, 201, 204, 404):
                    raise StoreUnavailable(f"the store answered {answer.status}")
                is_small = (answer.content_length or 0) <= SMALL_BYTES
                return answer.status, answer.headers, await answer.read() if is_small else b""
        except (ClientError, OSError, TimeoutError) as error:
            raise StoreUnavailable(f"the store: {type(error).__name__}") from None


class BucketStore:
    """A bucket of S3, Google Cloud Storage or Azure, through obstore.

    Credentials come from the environment, as the cloud's own tools read it.
    """

    def __init__(self, config: BucketStorage) -> None:
        import obstore
        from obstore import exceptions, store

        classes: dict[str, Any] = {
            "s3": store.S3Store,
            "gs": store.GCSStore,
            "az": store.AzureStore,
        }
        options: dict[str, Any] = dict(config.options)
        if options.get("endpoint", "").startswith("http://"):
            options["client_options"] = {"allow_http": True}
        self._obstore = obstore
        self._missing = exceptions.NotFoundError
        self._faults = (exceptions.BaseError, OSError, TimeoutError)
        self._config = config
        try:
            self._store = classes[config.kind](config.bucket, **options)
        except (exceptions.BaseError, TypeError, ValueError) as error:
            text = " ".join(str(error).split())[:300]
            raise ConfigurationError(f"storage: {config.kind} {config.bucket}: {text}") from None

    @property
    def prefix(self) -> str:
        return self._config.prefix

    async def grant(self, key: str, file: FileToUpload) -> Grant:
        """Bound to the key alone: no presigner at hand binds more.

        The runner sends the checksum along, which the store compares; size and checksum are
        compared again after the upload.
        """
        url = await self._sign("PUT", key, GRANT_SECONDS)
        headers = {
            "Content-MD5": base64.b64encode(bytes.fromhex(file.md5)).decode(),
            "Content-Type": content_type(file.name),
        }
        if self._config.kind == "az":
            headers["x-ms-blob-type"] = "BlockBlob"
        return Grant(name=file.name, url=url, headers=headers)

    async def grant_to_read(self, key: str) -> str:
        return await self._sign("GET", key, READ_SECONDS)

    async def link(self, key: str) -> str:
        if self._config.url:
            return f"{self._config.url.rstrip('/')}/{quote(key)}"
        return await self._sign("GET", key, self._config.link_seconds)

    def links_end(self) -> datetime | None:
        return None if self._config.url else _in(self._config.link_seconds)

    async def find(self, key: str) -> StoredFile | None:
        found = await self._answer(self._obstore.head_async(self._store, key))
        return StoredFile(found["size"], _md5(found.get("e_tag"))) if found else None

    async def read(self, key: str) -> bytes | None:
        there = await self.find(key)
        if there is None or not 0 < there.bytes <= SMALL_BYTES:
            return None
        part = self._obstore.get_range_async(self._store, key, start=0, length=there.bytes)
        body = await self._answer(part)
        return None if body is None else bytes(body)

    async def write(self, key: str, body: bytes, seconds: float | None = None) -> None:
        await self._answer(self._obstore.put_async(self._store, key, body), seconds)

    async def remove(self, keys: Sequence[str]) -> None:
        await self._answer(self._obstore.delete_async(self._store, list(keys)))

    async def _answer(self, question: Awaitable[Any], seconds: float | None = None) -> Any:
        """None where there is no such file. Raises StoreUnavailable, after that time too."""
        try:
            async with asyncio.timeout(seconds or ANSWER_SECONDS):
                return await question
        except (self._missing, FileNotFoundError):
            return None
        except self._faults as error:
            raise _unavailable(error) from None

    async def _sign(self, method: Literal["GET", "PUT"], key: str, seconds: int) -> str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                life = timedelta(seconds=seconds)
                return str(await self._obstore.sign_async(self._store, method, key, life))
        except (*self._faults, TypeError, ValueError) as error:
            raise _unavailable(error) from None


def open_store(
    config: OperatorConfig,
    keys: SigningKeys | None,
    session: ClientSession,
    address: PublicAddress | None,
) -> Store | None:
    """The configured store; None where videos go to a volume. Raises ConfigurationError."""
    storage = config.storage
    if isinstance(storage, EmbeddedStorage):
        assert keys
        return EmbeddedStore(storage, keys, session, address)
    if isinstance(storage, BucketStorage):
        return BucketStore(storage)
    return None


def _in(seconds: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def _md5(tag: str | None) -> str:
    """An ETag where it is the file's MD5, as S3's is of a file that came in one piece."""
    text = (tag or "").strip('"')
    return text if re.fullmatch(r"[0-9a-f]{32}", text) else ""


def _unavailable(error: Exception) -> StoreUnavailable:
    """The store's words may quote its request, and with it what it is signed with."""
    return StoreUnavailable(f"the store: {type(error).__name__}")

"""Signed URLs of the embedded store: the right to read or write exactly one file, for a time.

HMAC-SHA256 over all that the right is bound to. The store and the operator share the keys; whoever
has the URL needs nothing else. Pure.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlencode

from t2v_api.delivery import FileToUpload

Method = Literal["GET", "PUT", "DELETE"]
SCHEME = "t2v-store-1"
"""Goes up when what is signed changes."""

EXPIRES, SIZE, SHA256, SIGNATURE = "expires", "bytes", "sha256", "signature"


KEY_BYTES = 16
"""A shorter key could be guessed."""
KEY_FILES = ("current", "previous")
"""Of the Secret: the one that signs, and one that still opens what it signed."""


class KeyInvalid(Exception):
    """A key that signs is missing or too short."""


class NotAllowed(Exception):
    """The URL does not open what was asked for; says why, without the signature."""


@dataclass(frozen=True)
class Content:
    """What is known of a file before it is uploaded."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class SigningKeys:
    """The keys: the first one signs, all of them open."""

    keys: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """With an empty key anybody could sign. Raises KeyInvalid."""
        if not self.keys or min(map(len, self.keys)) < KEY_BYTES:
            raise KeyInvalid(f"a key that signs has {KEY_BYTES} bytes or more")

    @classmethod
    def read(cls, data: Mapping[str, bytes]) -> "SigningKeys":
        """From a Secret's data; what is blank is no key. Raises KeyInvalid."""
        found = (data.get(name, b"").strip() for name in KEY_FILES)
        return cls(tuple(key for key in found if key))

    def sign(self, method: Method, key: str, expires: int, size: str, sha256: str) -> str:
        """In base64, as URLs take it."""
        return _signature(self.keys[0], method, key, expires, size, sha256)

    def opens(
        self, signature: str, method: Method, key: str, expires: int, size: str, sha256: str
    ) -> bool:
        given = signature.encode(errors="replace")
        found = [
            hmac.compare_digest(
                given, _signature(each, method, key, expires, size, sha256).encode()
            )
            for each in self.keys
        ]
        return any(found)


class KeyFolder:
    """The keys as a mounted Secret has them: read again when the kubelet has changed them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: tuple[object, SigningKeys] | None = None

    def __call__(self) -> SigningKeys:
        """Raises OSError where the first key is missing, KeyInvalid where it is none."""
        state = self._state()
        if self._read is None or self._read[0] != state:
            paths = [path for path in self._paths() if path.exists()] or self._paths()[:1]
            self._read = state, SigningKeys.read({path.name: path.read_bytes() for path in paths})
        return self._read[1]

    def _paths(self) -> list[Path]:
        return [self._folder / name for name in KEY_FILES]

    def _state(self) -> object:
        return [path.stat().st_mtime_ns if path.exists() else 0 for path in self._paths()]


def signed_url(
    base: str,
    method: Method,
    key: str,
    keys: SigningKeys,
    expires: int,
    file: FileToUpload | Content | None = None,
) -> str:
    """`expires`: seconds since 1970. An upload is bound to its `file`'s size and checksum."""
    size, sha256 = (str(file.bytes), file.sha256) if file else ("", "")
    query = {EXPIRES: str(expires)} | ({SIZE: size, SHA256: sha256} if file else {})
    query[SIGNATURE] = keys.sign(method, key, expires, size, sha256)
    return f"{base.rstrip('/')}/{quote(key)}?{urlencode(query)}"


def check(
    method: Method, key: str, query: Mapping[str, str], keys: SigningKeys, now: float | None = None
) -> None:
    """Raises NotAllowed unless the query opens `key` for `method` now."""
    try:
        expires = int(query.get(EXPIRES, ""))
    except ValueError:
        raise NotAllowed("the URL is not signed") from None
    is_put = method == "PUT"
    size, sha256 = (query.get(SIZE, ""), query.get(SHA256, "")) if is_put else ("", "")
    if not keys.opens(query.get(SIGNATURE, ""), method, key, expires, size, sha256):
        raise NotAllowed("the signature does not fit the URL")
    if expires < (time.time() if now is None else now):
        raise NotAllowed("the link has expired; ask for a new one with `t2v link`")


def _signature(
    secret: bytes, method: Method, key: str, expires: int, size: str, sha256: str
) -> str:
    text = "\n".join((SCHEME, method, key, str(expires), size, sha256))
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")

"""Who is signed in: a signed token in a cookie. It names the key and does not hold it.

No replica remembers a session. A token lives as long as it says, and only while its key exists.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

PARTS = 4
SESSION_SECONDS = 12 * 3600
"""After that one signs in again."""


@dataclass(frozen=True, repr=False)
class Session:
    """Somebody who has shown a key."""

    key_id: str
    fingerprint: str
    """Of the key that was shown: one that replaces it opens no session of it."""
    ends: int
    """Seconds since 1970."""
    token: str
    """What the cookie holds."""
    form_token: str
    """What the page sends along with all that changes something: another site cannot know it."""


class Sessions:
    """Makes tokens and reads them."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: 256 bits, the same on every replica."""
        self._secret = secret

    def begin(self, key_id: str, fingerprint: str, now: float) -> Session:
        """A new session of this key."""
        ends = int(now) + SESSION_SECONDS
        said = f"{key_id}.{fingerprint}.{ends}.{secrets.token_urlsafe(16)}"
        return self._session(key_id, fingerprint, ends, f"{said}.{self._sign('session', said)}")

    def read(self, token: str, now: float) -> Session | None:
        """The session of a cookie; None where it is none of ours, or over."""
        said, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._sign("session", said).encode(), signature.encode()):
            return None
        parts = said.split(".")
        if len(parts) != PARTS:  # from before the fingerprint was one of them
            return None
        key_id, fingerprint, ends, _ = parts
        return self._session(key_id, fingerprint, int(ends), token) if now < int(ends) else None

    def _session(self, key_id: str, fingerprint: str, ends: int, token: str) -> Session:
        return Session(key_id, fingerprint, ends, token, self._sign("form", token))

    def _sign(self, purpose: str, text: str) -> str:
        signed = hmac.new(self._secret, f"{purpose}\n{text}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(signed.digest()).decode().rstrip("=")

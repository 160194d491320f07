"""How much each key has uploaded within a day, as far as this process knows."""

import time
from collections.abc import Callable

from t2v_gateway.errors import Refused

DAY_SECONDS = 24 * 3600


class Sent:
    """Bytes by key; all is forgotten when a day of UTC ends."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._day = 0
        self._bytes: dict[str, int] = {}

    def add(self, key_id: str, size: int, most: int) -> None:
        """One file more. Raises Refused where the day's files would be more than `most` bytes."""
        day, gone = divmod(int(self._now()), DAY_SECONDS)
        if day != self._day:
            self._day, self._bytes = day, {}
        before = self._bytes.get(key_id, 0)
        if before + size > most:
            raise Refused(
                429, f"this key has uploaded {before} bytes today; it may upload {most}",
                DAY_SECONDS - gone,
            )  # fmt: skip
        self._bytes[key_id] = before + size

    def take_back(self, key_id: str, size: int) -> None:
        """A file that was not kept after all."""
        self._bytes[key_id] = max(0, self._bytes.get(key_id, 0) - size)

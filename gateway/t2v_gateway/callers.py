"""Who asks: the key in a request, what it may do, and how often."""

import hmac
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from t2v_api.api_key import ApiKey, Right

from t2v_gateway.errors import Refused
from t2v_gateway.videos import Videos

MOST_COUNTED = 10_000
"""Keys whose requests are counted; of more, those that asked longest ago are forgotten."""


class Keys(Protocol):
    """All keys that there are."""

    def find(self, text: str) -> ApiKey | None:
        """What a key opens; None where it is none, or no longer."""
        ...

    def by_id(self, key_id: str) -> ApiKey | None:
        """What the key of this id opens; None where there is none, or no longer."""
        ...

    def fingerprint(self, key_id: str) -> str:
        """Of that key (`t2v_api.api_key.fingerprint_of`); empty where there is none."""
        ...


class Callers:
    """Tells keys from what is none, and keeps their quotas."""

    def __init__(
        self, keys: Keys, videos: Videos, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._videos = videos
        self._clock = clock
        self._asked: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By key: how many requests it may make at once, and when that was reckoned."""
        self._being_made: Counter[str] = Counter()
        """By key: videos that the API server is being asked for, and no watch tells of yet."""

    def known(self, text: str | None, right: Right = Right.USE) -> ApiKey:
        """The key, if it may do that and has not asked too often. Raises Refused."""
        key = self._keys.find(text) if text else None
        if key is None:
            missing = "no key was given: send it in the body as 'key', or as a bearer token"
            raise Refused(401, "the key is not valid" if text else missing)
        self._count(_with(right, key))
        return key

    def known_by_id(
        self, key_id: str, fingerprint: str, right: Right = Right.USE, counts: bool = True
    ) -> ApiKey:
        """The same for whoever has shown the key of this fingerprint before. Raises Refused.

        `counts`: whether it is one of the requests that the key may make in a minute.
        """
        key = self._keys.by_id(key_id)
        same = hmac.compare_digest(self._keys.fingerprint(key_id).encode(), fingerprint.encode())
        if key is None or not same:
            raise Refused(401, "the key is not valid any more")
        if counts:
            self._count(_with(right, key))
        return _with(right, key)

    @contextmanager
    def may_make_one(self, key: ApiKey) -> Iterator[None]:
        """While a video is made, it counts. Raises Refused where the key's quota is used up."""
        self._check_quota(key)
        self._being_made[key.id] += 1
        try:
            yield
        finally:
            self._being_made[key.id] -= 1
            if not self._being_made[key.id]:
                del self._being_made[key.id]

    def _check_quota(self, key: ApiKey) -> None:
        quota = key.quota
        if quota.jobs_in_flight is not None:
            flying = sum(not video.is_finished for video in self._videos.of_key(key))
            flying += self._being_made[key.id]
            if flying >= quota.jobs_in_flight:
                raise Refused(
                    429, f"{flying} videos of this key wait or are made; it may have "
                    f"{quota.jobs_in_flight}", retry_after=30,
                )  # fmt: skip
        if quota.gpu_seconds_per_day is not None:
            used = self._videos.gpu_seconds(key)
            if used >= quota.gpu_seconds_per_day:
                raise Refused(
                    429, f"this key has used {used:.0f} s of GPUs in 24 hours; it may use "
                    f"{quota.gpu_seconds_per_day:.0f}", retry_after=3600,
                )  # fmt: skip

    def _count(self, key: ApiKey) -> None:
        """A bucket of a minute's requests that fills evenly."""
        most = key.quota.requests_per_minute
        if most is None:
            return
        now = self._clock()
        left, since = self._asked.pop(key.id, (float(most), now))
        left = min(float(most), left + (now - since) * most / 60)
        self._asked[key.id] = left - 1 if left >= 1 else left, now
        while len(self._asked) > MOST_COUNTED:
            self._asked.popitem(last=False)
        if left < 1:
            wait = max(1, round((1 - left) * 60 / most))
            raise Refused(429, f"this key may ask {most} times a minute", retry_after=wait)


def _with(right: Right, key: ApiKey) -> ApiKey:
    """The key, if it has the right. Raises Refused."""
    if right not in key.rights:
        raise Refused(403, f"this key may not do that: it lacks the right {right.value!r}")
    return key

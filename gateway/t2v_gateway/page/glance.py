"""The queue and the pools at a glance, and how many videos of which kind one has."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from t2v_api.api_key import ApiKey
from t2v_api.resource import Phase
from t2v_operator.config import GpuPool, OperatorConfig

from t2v_gateway.gateway import Gateway
from t2v_gateway.page.cards import state_of
from t2v_gateway.videos import Video

FRESH_SECONDS = 1.0


def own(gateway: Gateway, key: ApiKey) -> Iterator[Video]:
    """The key's videos: those with its label, in its namespace."""
    for video in gateway.videos.of_key(key):
        if video.namespace == key.namespace and not video.is_being_deleted:
            yield video


def opened_pools(config: OperatorConfig, key: ApiKey) -> list[GpuPool]:
    """Where the key's videos may run, as `core.keys` decides it for each."""
    if not config.api_keys.enabled:
        return list(config.pools)
    if key.pools:
        return [pool for pool in config.pools if pool.name in key.pools]
    return [pool for pool in config.pools if pool.keys == "optional"]


class Glance:
    """Counts everybody's videos once a second at most, however many look."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._clock = clock
        self._counted = float("-inf")
        self._load: Counter[tuple[str, bool]] = Counter()
        """By pool, and whether they run."""

    def of(self, key: ApiKey, mine: Mapping[str, int] | None = None) -> dict[str, Any]:
        """What the key's owner may know: the pools that it opens, and how full they are.

        `mine`: how many of its videos are in which state, where the caller has counted them.
        """
        self._count()
        pools = [
            {
                "name": pool.name,
                "gpuMemory": pool.gpu_memory,
                "running": self._load[pool.name, True],
                "waiting": self._load[pool.name, False],
            }
            for pool in opened_pools(self._gateway.config, key)
        ]
        if mine is None:
            mine = Counter(map(state_of, own(self._gateway, key)))
        return {
            "pools": pools,
            "unplaced": self._load["", True] + self._load["", False],
            "mine": {state: mine[state] for state in ("working", "ready", "failed")},
        }

    def _count(self) -> None:
        if self._clock() - self._counted < FRESH_SECONDS:
            return
        self._counted = self._clock()
        self._load = Counter(
            (video.pool, video.phase is Phase.RUNNING)
            for _, video in self._gateway.videos.store.items()
            if not video.is_finished
        )

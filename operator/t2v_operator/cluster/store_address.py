"""What links to the embedded store begin with where its Service has an address of its own.

It is looked up when a link is made, so nobody asks while none is, and a load balancer that comes
late, or changes, is known without a restart. Grants, and what is signed, do not depend on it.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED, TryAgain
from t2v_operator.cluster.kinds import NODES, SERVICES
from t2v_operator.core.service_address import is_at_nodes, url_of
from t2v_operator.delivery.stores import StoreUnavailable

FRESH_SECONDS = 60.0
"""How long an address holds."""
NONE_SECONDS = 10.0
"""How long it holds that there is none: finished videos wait."""
PATIENCE_SECONDS = 300.0
"""A load balancer takes minutes. A webhook that told another address could not be called back."""
NODES_READ = "100"
"""Of a large cluster's: the first Ready one will do."""

logger = logging.getLogger("t2v_operator")


class NoAddressYet(TryAgain, StoreUnavailable):
    """The Service may get an address yet: a finished video waits for its link."""

    longest_seconds = NONE_SECONDS


class StoreAddress:
    """Knows the Service's address, and asks for it now and then, as links are made."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        service: str,
        otherwise: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Links begin with `otherwise` where the Service got no address in `PATIENCE_SECONDS`."""
        self._client = client
        self._namespace = namespace
        self._service = service
        self._otherwise = otherwise
        self._clock = clock
        self._url: str | None = None
        self._fresh_until = -math.inf
        self._waits_until = math.inf
        """Infinite unless it is known that there is no address."""
        self._looking = asyncio.Lock()

    async def __call__(self) -> str:
        """Raises NoAddressYet."""
        async with self._looking:
            if self._clock() >= self._fresh_until:
                await self._look()
                holds = FRESH_SECONDS if self._url is not None else NONE_SECONDS
                self._fresh_until = self._clock() + holds
        if self._url is not None:
            return self._url
        if self._clock() < self._waits_until:
            raise NoAddressYet(f"the Service {self._service} has no address yet")
        return self._otherwise

    async def _look(self) -> None:
        try:
            found = await self._find()
        except UNANSWERED as error:
            logger.warning("the address of the Service %s: %s", self._service, error)
            found = self._url
        if found is None and self._waits_until == math.inf:
            self._waits_until = self._clock() + PATIENCE_SECONDS
            logger.warning(
                "the Service %s has no address: finished videos wait %d s for it, then their links "
                "begin with %s until `t2v link` renews them",
                *(self._service, PATIENCE_SECONDS, self._otherwise),
            )
        elif found is not None:
            self._waits_until = math.inf
            if found != self._url:
                logger.info("links begin with %s, the Service %s", found, self._service)
        self._url = found

    async def _find(self) -> str | None:
        service = await self._client.get(SERVICES, self._namespace, self._service)
        if service is None:
            return None
        if not is_at_nodes(service):
            return url_of(service, [])
        nodes = await self._client.list(NODES, None, limit=NODES_READ)
        return url_of(service, nodes["items"])

"""Who leads: one of several operators, by a Lease that it renews.

The model is client-go's leader election (coordination.k8s.io/v1 Lease), with one thing more: the
right to write ends by the clock, before anyone else may take the lease, whatever this process is
doing. A process that was stopped or cut off finds out before its next write, not after.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED
from t2v_operator.cluster.kinds import LEASES
from t2v_operator.core.job import Manifest

LEASE_SECONDS = 15
"""Others take a lease that was not renewed for that long, by their own clocks."""
RENEW_SECONDS = 10
"""A leader that could not renew for that long leads no more."""
RETRY_SECONDS = 2
"""Between two renewals, and between two looks at somebody else's lease."""

ADDRESS_ANNOTATION = "textto.video/address"
"""On the Lease: where the other replicas hand on what only the leader may do."""

logger = logging.getLogger("t2v_operator")


class LeadershipLost(Exception):
    """The lease could not be renewed in time, or somebody else has it."""


def uptime() -> float:
    """Seconds that go on while the machine sleeps, unlike those of `time.monotonic`."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Leadership:
    """One candidate for one Lease."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float] = uptime,
        address: str = "",
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._address = address
        self._holders_address = ""
        self._clock = clock
        self._lease: Manifest | None = None
        self._held_until = 0.0
        self._seen: tuple[Any, ...] | None = None
        self._seen_at = 0.0

    @property
    def holders_address(self) -> str:
        """Where the leader can be reached, as the lease says; empty where it does not."""
        return self._holders_address

    @property
    def is_held(self) -> bool:
        """Whether writing is allowed at this very moment."""
        return self._clock() < self._held_until

    async def acquire(self) -> None:
        """Return when this candidate leads."""
        while not await self._try():
            await asyncio.sleep(RETRY_SECONDS)
        logger.info("%s leads", self._identity)

    async def keep(self) -> None:
        """Renew for ever. Raises LeadershipLost.

        What was lost is not taken again: what this process knows may be older than what another
        leader wrote meanwhile.
        """
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if self.is_held:
                await self._try(takes_it_from_others=False)
            if not self.is_held:
                raise LeadershipLost(f"{self._identity} lost its lease")

    async def release(self) -> None:
        """Let the others have it at once, also where a renewal or a taking was cut short."""
        self._held_until = 0.0
        try:
            async with asyncio.timeout(RENEW_SECONDS / 2):
                # A renewal that was cut short may have changed it.
                lease = await self._client.get(LEASES, self._namespace, self._name)
                if lease is not None and self._is_ours(lease):
                    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._write({**lease, "spec": spec})
        except UNANSWERED as error:
            logger.info("the lease was not released: %s %s", type(error).__name__, error)

    async def _try(self, takes_it_from_others: bool = True) -> bool:
        """Take the lease or renew it; False where that was not possible."""
        began = self._clock()
        try:
            async with asyncio.timeout(RENEW_SECONDS / 2):
                taken = await self._take(takes_it_from_others)
        except UNANSWERED as error:
            self._lease = None
            logger.info("the lease was not renewed: %s %s", type(error).__name__, error)
            return False
        self._held_until = began + RENEW_SECONDS if taken else 0.0
        return taken

    async def _take(self, from_others: bool) -> bool:
        lease = self._lease or await self._client.get(LEASES, self._namespace, self._name)
        if lease is None:
            body = {"metadata": self._metadata({"name": self._name}), "spec": self._spec(None)}
            self._lease = await self._client.write_lease(self._namespace, None, body)
            return True
        annotations = lease["metadata"].get("annotations") or {}
        self._holders_address = annotations.get(ADDRESS_ANNOTATION, "")
        if not self._is_ours(lease) and not (from_others and self._is_free(lease)):
            return False
        metadata = self._metadata(lease["metadata"])
        self._lease = await self._write(
            {**lease, "metadata": metadata, "spec": self._spec(lease["spec"])}
        )
        return True

    def _metadata(self, before: dict[str, Any]) -> dict[str, Any]:
        annotations = {**(before.get("annotations") or {}), ADDRESS_ANNOTATION: self._address}
        return {**before, "annotations": annotations}

    async def _write(self, lease: Manifest) -> Manifest:
        """With its resourceVersion: of two that write, one is refused."""
        return await self._client.write_lease(self._namespace, self._name, lease)

    def _is_ours(self, lease: Manifest) -> bool:
        return bool(lease["spec"].get("holderIdentity") == self._identity)

    def _is_free(self, lease: Manifest) -> bool:
        """Nobody holds it, or it did not change for its whole duration while we looked on.

        Clocks of different machines are never compared.
        """
        spec = lease["spec"]
        if not spec.get("holderIdentity"):
            return True
        seen = (spec["holderIdentity"], spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        seconds = spec.get("leaseDurationSeconds") or LEASE_SECONDS
        return self._clock() - self._seen_at >= seconds

    def _spec(self, before: dict[str, Any] | None) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        held = before is not None and before.get("holderIdentity") == self._identity
        transitions = (before or {}).get("leaseTransitions") or 0
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": (before or {}).get("acquireTime", now) if held else now,
            "renewTime": now,
            "leaseTransitions": transitions + (0 if held or before is None else 1),
        }

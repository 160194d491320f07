"""Write Kubernetes Events beside the work: what people read must not hold up what they wait for.

The model is client-go's event recorder: a queue, and what does not fit into it is dropped.
"""

import asyncio
import logging
from datetime import datetime

from t2v_api.resource import API_VERSION, KIND, ObjectMeta

from t2v_operator.cluster.client import FIELD_MANAGER, Client
from t2v_operator.cluster.errors import UNANSWERED, NotLeader
from t2v_operator.cluster.kinds import EVENTS
from t2v_operator.cluster.pace import Pace
from t2v_operator.core.events import Notice
from t2v_operator.core.job import Manifest

MOST_WAITING = 10_000
EVENTS_PER_SECOND, EVENTS_BURST = 15.0, 25.0

logger = logging.getLogger("t2v_operator")


class Recorder:
    """The Events that are still to be written."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pace = Pace(EVENTS_PER_SECOND, EVENTS_BURST)
        self._waiting: asyncio.Queue[tuple[str, Manifest]] = asyncio.Queue(MOST_WAITING)

    def tell(self, about: ObjectMeta, notice: Notice, now: datetime, kind: str = KIND) -> None:
        """Let it be written soon."""
        event = _event(about, notice, now, kind)
        try:
            self._waiting.put_nowait((event["metadata"]["namespace"], event))
        except asyncio.QueueFull:
            logger.debug("an Event is dropped: %d wait already", MOST_WAITING)

    async def run(self) -> None:
        """Write until cancelled; one that is refused is not tried again."""
        while True:
            namespace, event = await self._waiting.get()
            while left := self._pace.wait_seconds(self):
                await asyncio.sleep(left)
            try:
                await self._client.create(EVENTS, namespace, event)
            except (*UNANSWERED, NotLeader) as error:
                logger.debug("an Event was not written: %s", error)


def _event(about: ObjectMeta, notice: Notice, now: datetime, kind: str) -> Manifest:
    # Of what is in no namespace, the API server takes Events in `default` alone.
    place = {"namespace": about.namespace} if kind == KIND else {}
    time = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "metadata": {"generateName": "text-to-video-", "namespace": "default", **place},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": kind,
            "name": about.name,
            "uid": about.uid,
            **place,
        },
        "type": notice.kind,
        "reason": notice.reason,
        "message": notice.message,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }

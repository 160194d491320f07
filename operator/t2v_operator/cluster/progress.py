"""Follow the runners' logs for their progress: a stream for each running pod, nothing polled.

It goes when the report server is there (docs/design/progress-from-the-log.md).
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from t2v_api.base import ContractError
from t2v_api.progress import Progress

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED
from t2v_operator.cluster.kinds import PODS
from t2v_operator.cluster.store import Key
from t2v_operator.core.job import CONTAINER

PAUSE_SECONDS = 3.0
"""Between two looks at which pods run, within the operator; one that runs at two is followed."""
MOST_FOLLOWED = 100
"""So many streams at a time; the next begins when one ends."""
REPORT_SECONDS = 1.0
"""Between two reports of one pod: a runner may write as fast as it likes."""
FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 300.0

_LOG = {"container": CONTAINER, "follow": "true", "tailLines": "1"}

logger = logging.getLogger("t2v_operator")


class ProgressReader:
    """One task for each pod that runs."""

    def __init__(
        self,
        client: Client,
        running: Callable[[], dict[Key, Key]],
        report: Callable[[Key, str, Progress], None],
    ) -> None:
        """`running` says which resource each running pod is of.

        `report` takes the resource, the pod's name and the progress.
        """
        self._client = client
        self._running = running
        self._report = report
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._seen: set[Key] = set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._adjust(self._running())
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            for task in self._tasks.values():
                task.cancel()

    def _adjust(self, running: dict[Key, Key]) -> None:
        ended = {pod for pod, task in self._tasks.items() if task.done()}
        for pod in ended | (set(self._tasks) - set(running)):
            self._tasks.pop(pod).cancel()
        waiting = (self._seen & set(running)) - set(self._tasks)
        for pod in sorted(waiting)[: MOST_FOLLOWED - len(self._tasks)]:
            self._tasks[pod] = asyncio.create_task(self._follow(pod, running[pod]))
        self._seen = set(running)

    async def _follow(self, pod: Key, resource: Key) -> None:
        """Until the pod runs no more. A log that cannot be read is tried again, ever later."""
        pause, reported, stage = FIRST_RETRY_SECONDS, 0.0, None
        while True:
            try:
                async for line in self._client.lines(PODS, pod[0], f"{pod[1]}/log", _LOG):
                    progress, now = _progress(line), time.monotonic()
                    if progress is None:
                        continue
                    if progress.stage != stage or now - reported >= REPORT_SECONDS:
                        self._report(resource, pod[1], progress)
                        pause, reported, stage = FIRST_RETRY_SECONDS, now, progress.stage
            except UNANSWERED as error:
                logger.debug("no progress of pod %s/%s: %s", *pod, error)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
            pause = min(2 * pause, LAST_RETRY_SECONDS)


def _progress(line: bytes) -> Progress | None:
    if not line.startswith(b"{"):
        return None
    try:
        return Progress.parse_json(line)
    except ContractError:
        return None

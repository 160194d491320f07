"""Bring a checkpoint to the store, and from there to the next pod: by grants, as the video.

A fault here costs steps, never the video: it is logged, and the next checkpoint tries again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator

from t2v_api.delivery import CHECKPOINT_FILE, LARGEST

from t2v_runner.checkpoints.keeper import Keeping
from t2v_runner.report_server import NotAnswered, Refused, ReportServer, is_worth_another_try
from t2v_runner.upload import described, put

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds after a try to ask for the checkpoint: hours of work may be there."""
SILENCE_SECONDS = 20.0
CHUNK_BYTES = 1024 * 1024

logger = logging.getLogger(__name__)


class GivenUp(Exception):
    """The video is there: no checkpoint is to come after it."""


class Carrier:
    """Carries the checkpoint of one video."""

    def __init__(
        self, server: ReportServer, keeping: Keeping, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._server = server
        self._keeping = keeping
        self._sleep = sleep
        self._gives_up = threading.Event()

    def bring(self) -> None:
        """Have the store's checkpoint here, if it has one and none is here."""
        if self._keeping.path.exists():
            return  # an earlier run in this pod wrote it, and it is as new as the store's
        for pause in (*PAUSES, None):
            try:
                self._bring()
            except (NotAnswered, OSError) as error:
                logger.warning("no checkpoint is brought: %s", error)
                if pause is not None:
                    self._sleep(pause)
            except Refused as error:
                logger.warning("no checkpoint is brought: %s", error)
                return
            else:
                return

    def carry(self) -> bool:
        """Have this one in the store. False where another try may do it."""
        try:
            self._carry()
        except (NotAnswered, Refused, OSError, GivenUp) as error:
            logger.warning("the checkpoint is not in the store: %s", error)
            return isinstance(error, GivenUp)
        return True

    def give_up(self) -> None:
        """Nothing is carried any more, not even the rest of what is on its way."""
        self._gives_up.set()

    def _bring(self) -> None:
        """Raises NotAnswered, Refused, OSError."""
        url = self._server.ask_for_checkpoint().url
        if url is None:
            return
        part = self._keeping.part
        try:
            with part.open("wb") as file:
                for chunk in _content(url):
                    file.write(chunk)
            part.replace(self._keeping.path)
        finally:
            part.unlink(missing_ok=True)

    def _carry(self) -> None:
        """Raises NotAnswered, Refused, OSError, GivenUp."""
        path = self._keeping.path
        size = path.stat().st_size
        if size > LARGEST[CHECKPOINT_FILE]:
            logger.warning("the checkpoint has %d bytes, too many for the store", size)
            return
        file = described(path, CHECKPOINT_FILE)
        for grant in self._server.ask_to_upload((file,)).grants:
            put(path, grant, self._may_go_on)

    def _may_go_on(self) -> None:
        if self._gives_up.is_set():
            raise GivenUp("the video is there")


def _content(url: str) -> Iterator[bytes]:
    """What a link opens. It is a right of its own: it stands in no message.

    Raises NotAnswered, Refused.
    """
    import httpx2

    size = 0
    try:
        with httpx2.stream("GET", url, timeout=SILENCE_SECONDS, trust_env=False) as answer:
            if is_worth_another_try(answer.status_code):
                raise NotAnswered(f"the store answered {answer.status_code}")
            if answer.status_code != 200:
                raise Refused(answer.status_code, "", "store")
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                size += len(chunk)
                if size > LARGEST[CHECKPOINT_FILE]:
                    raise Refused(200, "more bytes than a checkpoint has", "store")
                yield chunk
    except httpx2.HTTPError as error:
        raise NotAnswered(f"the store: {type(error).__name__}") from None

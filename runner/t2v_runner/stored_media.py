"""Init media that stands in the operator's store: ask for a link to read it, follow it at once.

What is away is waited for as an upload waits, but not as long: nothing is made yet, and the pod
holds its GPU. The Job's next attempt waits again.
"""

import logging
import random
import time
from collections.abc import Callable

from t2v_runner.errors import InitMediaRefused, InitMediaUnavailable
from t2v_runner.fetch import fetch_link
from t2v_runner.report_server import NotAnswered, Refused, ReportServer

PATIENCE_SECONDS = 300.0
"""After that no other try is begun."""
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 15.0

logger = logging.getLogger(__name__)


def read_init_media(
    name: str,
    server: ReportServer | None,
    may_go_on: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> bytes:
    """The file that the request calls `name`, a `store://` name.

    `may_go_on` is called before each pause and raises where somebody asked to stop.
    Raises InitMediaRefused where another attempt would end the same, else InitMediaUnavailable.
    """
    if server is None:
        raise InitMediaRefused(
            f"{name} is in a cluster's store, which cannot be read from here; "
            "give an http, https or file URL"
        )
    deadline, pause = monotonic() + PATIENCE_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        wait = pause * random.uniform(0.7, 1.3)  # noqa: S311
        try:
            return _read(name, server)
        except InitMediaUnavailable as error:
            logger.warning("init media is not read yet: %s", error)
            if monotonic() + wait > deadline:
                raise
        may_go_on()
        sleep(wait)
        pause = min(2 * pause, LAST_PAUSE_SECONDS)


def _read(name: str, server: ReportServer) -> bytes:
    try:
        link = server.ask_for_init_media(name)
    except (NotAnswered, Refused) as error:
        # Another replica of the operator may have seen the pod by now, or be a newer one.
        raise InitMediaUnavailable(f"{name}: {error}") from None
    if link.url is None:
        raise InitMediaRefused(f"{name} is not in the store of namespace {link.namespace}")
    return fetch_link(link.url, name)

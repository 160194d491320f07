"""Whether the gateway still signs with what the operator believes.

The Secret may be rotated, or lost and made anew. A process begins with it, so it ends with it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from t2v_operator.cluster.errors import UNANSWERED
from t2v_operator.delivery.signatures import KeyInvalid

LOOK_SECONDS = 60.0

logger = logging.getLogger("t2v_gateway")


async def until_another_signs(
    read: Callable[[], Awaitable[tuple[bytes, ...]]],
    known: bytes,
    look_seconds: float = LOOK_SECONDS,
) -> None:
    """Return once the first that `read` brings is not `known`.

    One that is missing, or cannot be read, is waited for.
    """
    while True:
        # Not all replicas at once.
        await asyncio.sleep(look_seconds * random.uniform(0.8, 1.2))  # noqa: S311
        try:
            held = await read()
        except (KeyInvalid, *UNANSWERED) as error:
            logger.warning("the gateway's Secret cannot be read: %s", type(error).__name__)
            continue
        if held and held[0] != known:
            logger.warning("the gateway's Secret has changed: this process ends, to read it anew")
            return

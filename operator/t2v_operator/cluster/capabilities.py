"""What the cluster's Kubernetes can do, and the configuration that asks for no more."""

import asyncio
import logging

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED, ClusterError
from t2v_operator.config import OperatorConfig

RESTART_RULES = (1, 34)
"""From there on containers have `restartPolicyRules`, or the API server drops them without a word;
an earlier one refuses the Job."""
RETRY_SECONDS = 5.0

logger = logging.getLogger("t2v_operator")


async def fitted(config: OperatorConfig, client: Client) -> OperatorConfig:
    """`config` for this cluster. Waits for the API server."""
    if not config.jobs.retries_in_pod:
        return config
    version = await _version(client)
    if version >= RESTART_RULES:
        return config
    logger.info("Kubernetes %d.%d: every retry is another pod", *version)
    jobs = config.jobs.model_copy(update={"retries_in_pod": 0})
    return config.model_copy(update={"jobs": jobs})


async def _version(client: Client) -> tuple[int, int]:
    """0.0 where it is not told: that is no reason not to work."""
    while True:
        try:
            return await client.version()
        except UNANSWERED as error:
            is_away = not isinstance(error, ValueError | LookupError | TypeError)
            if isinstance(error, ClusterError):
                is_away = error.status >= 500 or error.status == 429
            logger.warning("the version of Kubernetes is not known: %s", error)
            if not is_away:
                return 0, 0
        await asyncio.sleep(RETRY_SECONDS)

"""What the cluster's Kubernetes can do, and the configuration that asks for no more."""

import asyncio
import logging

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED
from t2v_operator.config import OperatorConfig

RESTART_RULES = (1, 34)
"""From there on containers have `restartPolicyRules`, or the API server drops them without a word;
an earlier one refuses the Job."""
RETRY_SECONDS = 5.0

logger = logging.getLogger("t2v_operator")


async def fitted(config: OperatorConfig, client: Client) -> OperatorConfig:
    """`config` for this cluster. Waits for the API server."""
    while True:
        try:
            version = await client.version()
            break
        except UNANSWERED as error:
            logger.warning("the API server does not answer yet: %s", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
    if version >= RESTART_RULES or not config.jobs.retries_in_pod:
        return config
    logger.info("Kubernetes %d.%d: every retry is another pod", *version)
    jobs = config.jobs.model_copy(update={"retries_in_pod": 0})
    return config.model_copy(update={"jobs": jobs})

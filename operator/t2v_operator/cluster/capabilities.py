"""What the cluster's Kubernetes can do, and the configuration that asks for no more."""

import asyncio
import logging

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED, ClusterError
from t2v_operator.config import ConfigurationError, OperatorConfig
from t2v_operator.core.model_volumes import NEEDS_IMAGE_VOLUMES

RESTART_RULES = (1, 34)
"""From there on containers have `restartPolicyRules`, or the API server drops them without a word;
an earlier one refuses the Job."""
IMAGE_VOLUMES = (1, 35)
"""From there on pods mount images, unless somebody has switched that off; before, only where
somebody has switched it on, which the version does not tell.
https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/"""
UNKNOWN = (0, 0)
RETRY_SECONDS = 5.0

logger = logging.getLogger("t2v_operator")


async def fitted(config: OperatorConfig, client: Client) -> OperatorConfig:
    """`config` for this cluster. Waits for the API server; raises ConfigurationError."""
    if not config.jobs.retries_in_pod and config.image_volumes is not None:
        return _with_images(config, UNKNOWN)
    version = await _version(client)
    return _with_images(_with_retries(config, version), version)


def _with_retries(config: OperatorConfig, version: tuple[int, int]) -> OperatorConfig:
    if not config.jobs.retries_in_pod or version >= RESTART_RULES:
        return config
    logger.info("Kubernetes %d.%d: every retry is another pod", *version)
    jobs = config.jobs.model_copy(update={"retries_in_pod": 0})
    return config.model_copy(update={"jobs": jobs})


def _with_images(config: OperatorConfig, version: tuple[int, int]) -> OperatorConfig:
    """Say whether there are image volumes. A version that is not known is given the benefit."""
    given = config.image_volumes
    has_them = (version >= IMAGE_VOLUMES or version == UNKNOWN) if given is None else given
    needing = ", ".join(model.id for model in config.models if model.images)
    if needing and not has_them:
        here = "imageVolumes is false" if given is False else "Kubernetes is {}.{}"
        why = f"comes from an image, and {here.format(*version)}"
        raise ConfigurationError(f"models: {needing} {why}; {NEEDS_IMAGE_VOLUMES}")
    return config.model_copy(update={"image_volumes": has_them})


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
                return UNKNOWN
        await asyncio.sleep(RETRY_SECONDS)

"""The gateway as a process: its caches fill, then it serves, until a signal ends it."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import kopf
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry
from t2v_client.connection import connect
from t2v_client.errors import LoginError
from t2v_operator.cluster.api_keys import ApiKeys
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED
from t2v_operator.cluster.health import hangs, health_server, still_fills
from t2v_operator.cluster.installed_store import installed_store
from t2v_operator.cluster.own_namespace import own_namespace
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.reporting import outgoing_session
from t2v_operator.cluster.secrets import grant_keys
from t2v_operator.config import ConfigurationError, OperatorConfig, load_config
from t2v_operator.delivery.asgi import serve
from t2v_operator.delivery.signatures import KeyInvalid
from t2v_operator.delivery.stores import Store

from t2v_gateway.app import application
from t2v_gateway.callers import Callers
from t2v_gateway.gateway import Gateway
from t2v_gateway.metrics import Metrics
from t2v_gateway.models import Models
from t2v_gateway.settings import GatewaySettings, load_settings
from t2v_gateway.signing import until_another_signs
from t2v_gateway.submitting import Submitter
from t2v_gateway.videos import Videos

RETRY_SECONDS = 5.0

logger = logging.getLogger("t2v_gateway")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal ends it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="t2v-gateway", description=__doc__)
    parser.add_argument("--config", type=Path, help="the operator's configuration")
    parser.add_argument("--settings", type=Path, help="the gateway's own")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    kopf.configure(
        log_format=kopf.LogFormat.JSON if options.log_format == "json" else kopf.LogFormat.FULL
    )
    try:
        asyncio.run(_run(load_config(options.config), load_settings(options.settings)))
    except (ConfigurationError, LoginError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


async def _run(config: OperatorConfig, settings: GatewaySettings) -> None:
    async with connect() as connection, outgoing_session() as session:
        client = Client(connection, lambda: True)
        process = await Process.prepare(client, config, settings, session)
        await process.run()


class Process:
    """The parts, and how they hang together."""

    def __init__(
        self,
        gateway: Gateway,
        keys: ApiKeys,
        until_outdated: Callable[[], Coroutine[Any, Any, None]],
        registry: CollectorRegistry | None = None,
    ) -> None:
        """`until_outdated` returns when the gateway is to begin anew."""
        self._gateway = gateway
        self._keys = keys
        self._until_outdated = until_outdated
        self._registry = registry or CollectorRegistry()

    @classmethod
    async def prepare(
        cls,
        client: Client,
        config: OperatorConfig,
        settings: GatewaySettings,
        session: ClientSession,
    ) -> "Process":
        """Waits until the Secrets are there that the operator makes."""
        namespace = own_namespace()
        secrets, store = await _secrets(client, config, namespace, session)
        models = Models(client, config)
        videos = Videos(client, config.namespaces, secrets, models.gpus)
        keys = ApiKeys(client, config.api_keys.namespace or namespace)
        submitter = Submitter(client, config, videos, models, secrets[0], settings.repeat_seconds)
        callers = Callers(keys, videos)
        gateway = Gateway(settings, config, videos, models, callers, submitter, store)
        read = partial(grant_keys, client, namespace, config.gateway_secret)
        return cls(gateway, keys, partial(until_another_signs, read, secrets[0]))

    async def run(self) -> None:
        """Serve until a signal, or until the process is outdated: Kubernetes starts it anew."""
        ended = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, ended.set)
        gateway = self._gateway
        parts = (gateway.videos.run(), gateway.models.run(), self._keys.run(), self._serve())
        ends = (ended.wait(), self._until_outdated())
        tasks = [asyncio.create_task(part) for part in (*parts, *ends)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # Whoever waits for a video is told that it is on its way.
        gateway.videos.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _serve(self) -> None:
        port = self._gateway.settings.health_port
        async with health_server(self._dead, self._not_ready, self._registry, port):
            await asyncio.gather(*(each.wait_until_full() for each in self._reflectors))
            app = application(self._gateway, Metrics(self._registry))
            await serve(app, self._gateway.settings.port)

    @property
    def _reflectors(self) -> list[Reflector]:
        gateway = self._gateway
        return [*gateway.videos.reflectors, *gateway.models.reflectors, *self._keys.reflectors]

    def _dead(self) -> str:
        return hangs(self._reflectors)

    def _not_ready(self) -> str:
        return still_fills(each.kind for each in self._reflectors if not each.is_full)


async def _secrets(
    client: Client, config: OperatorConfig, namespace: str, session: ClientSession
) -> tuple[tuple[bytes, ...], Store | None]:
    """What signs the keys' requests, and did, and the store. The operator makes the Secrets."""
    while True:
        try:
            signers = await grant_keys(client, namespace, config.gateway_secret)
            if signers:
                return signers, await installed_store(config, client, namespace, session)
            logger.warning("Secret %s is not there: the operator makes it", config.gateway_secret)
        except ConfigurationError:
            raise
        except KeyInvalid as error:
            raise ConfigurationError(f"a Secret of the operator in {namespace}: {error}") from None
        except UNANSWERED as error:
            logger.warning("the operator's Secrets cannot be read yet: %s", error)
        await asyncio.sleep(RETRY_SECONDS)

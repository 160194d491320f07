"""The report server's place in the operator: its Secrets, its store, and what it hears.

On every replica it answers; only the leader writes, so the others hand on to it what changes
anything.
"""

import asyncio
import logging
import random
import ssl
from functools import cached_property
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from t2v_api.progress import Progress

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.callers import Callers
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.errors import UNANSWERED, ClusterError
from t2v_operator.cluster.installed_store import installed_store
from t2v_operator.cluster.leader import Leadership
from t2v_operator.cluster.model_cache import ModelCache
from t2v_operator.cluster.secrets import server_certificate, signing_keys
from t2v_operator.config import ConfigurationError, OperatorConfig
from t2v_operator.delivery.asgi import load_certificate, serve
from t2v_operator.delivery.certificates import Certificate
from t2v_operator.delivery.report_server import Caller, Outcome, report_app
from t2v_operator.delivery.signatures import KeyInvalid
from t2v_operator.delivery.stores import Store

RENEW_SECONDS = 3600
"""Between two looks at the certificate."""
RETRY_SECONDS = 5.0
HAND_ON_SECONDS = 10.0
HANDED_ON = "x-t2v-handed-on"
"""Marks what another replica handed on: it goes no further."""

logger = logging.getLogger("t2v_operator")


class AuthorityChanged(Exception):
    """The pods trust another authority by now: Jobs that are made must name the new one."""


class Delivery:
    """What the operator needs to deliver videos; made before its other parts."""

    def __init__(
        self,
        config: OperatorConfig,
        session: ClientSession,
        store: Store | None,
        certificate: Certificate | None,
    ) -> None:
        self.config = config
        """With the authority that the pods trust."""
        self.session = session
        self.store = store
        self.certificate = certificate

    @classmethod
    async def prepare(
        cls, config: OperatorConfig, client: Client, namespace: str, session: ClientSession
    ) -> "Delivery":
        """Find or make what it rests on. Waits for the API server; raises ConfigurationError."""
        while True:
            try:
                return await cls._prepare(config, client, namespace, session)
            except ConfigurationError:
                raise
            except ClusterError as error:
                if error.status in (401, 403, 422):
                    raise ConfigurationError(
                        f"the operator's Secrets in {namespace} cannot be had: {error.message}"
                    ) from None
                logger.warning("the operator's Secrets cannot be read yet: %s", error)
            except KeyInvalid as error:
                raise ConfigurationError(f"storage.keysSecret in {namespace}: {error}") from None
            except UNANSWERED as error:
                logger.warning("the API server does not answer yet: %s", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    @classmethod
    async def _prepare(
        cls, config: OperatorConfig, client: Client, namespace: str, session: ClientSession
    ) -> "Delivery":
        store = await installed_store(config, client, namespace, session)
        server, certificate = config.report_server, None
        if server.url:
            names = [_host(server.url)]
            certificate = await server_certificate(client, namespace, server.secret, names)
            server = server.model_copy(
                update={"certificate_authority": certificate.authority.decode()}
            )
            config = config.model_copy(update={"report_server": server})
        if config.api_keys.enabled:
            # Whoever mounts it waits for it.
            try:
                await signing_keys(client, namespace, config.gateway_secret)
            except KeyInvalid as error:
                text = f"gatewaySecret in {namespace}: {error}"
                raise ConfigurationError(text) from None
        return cls(config, session, store, certificate)

    def with_store(self, store: Store | None) -> "Delivery":
        """The same with another store."""
        return Delivery(self.config, self.session, store, self.certificate)


class Reporting:
    """The report server of one replica."""

    def __init__(
        self,
        delivery: Delivery,
        client: Client,
        namespace: str,
        cache: Cache,
        models: ModelCache,
        effects: Effects,
        leadership: Leadership,
    ) -> None:
        """`client` may write without leading."""
        self._delivery = delivery
        self._client = client
        self._namespace = namespace
        self._cache = cache
        self._models = models
        self._effects = effects
        self._leadership = leadership
        self._callers = Callers(client, cache, models, delivery.config)

    async def run(self) -> None:
        """Serve until cancelled. Raises AuthorityChanged."""
        certificate = self._delivery.certificate
        if certificate is None:
            await asyncio.Event().wait()
            return
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_certificate(tls, certificate.certificate, certificate.key)
        app = report_app(self._callers.identify, self, self._hand_on, self._delivery.store)
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(app, self._delivery.config.report_server.port, tls))
            group.create_task(self._renew(certificate, tls))

    async def progress(self, caller: Caller, progress: Progress) -> None:
        if caller.fetches:
            self._models.report(caller.fetches, caller.pod, progress)
        else:
            self._cache.report((caller.namespace, caller.resource), caller.pod, progress)

    async def outcome(self, caller: Caller, outcome: Outcome) -> None:
        """Kept on the Job: it lives longer than the pod, and every replica sees it."""
        await self._effects.keep_outcome(caller.namespace, caller.job, outcome)

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """Made once: connections to the leader are kept, and kept apart by it."""
        authority = self._delivery.config.report_server.certificate_authority
        return ssl.create_default_context(cadata=authority)

    async def _hand_on(self, request: Request, body: bytes) -> Response | None:
        """The leader's answer; None where that is us."""
        if self._leadership.is_held:
            return None
        address = self._leadership.holders_address
        if not address or HANDED_ON in request.headers:
            return PlainTextResponse("nobody leads just now; try again\n", status_code=503)
        server = self._delivery.config.report_server
        assert server.url
        headers = {
            "Authorization": request.headers["authorization"],
            "Content-Type": "application/json",
            HANDED_ON: "1",
        }
        try:
            async with self._delivery.session.post(
                f"https://{address}{request.url.path}",
                data=body,
                headers=headers,
                ssl=self._trusted,
                server_hostname=_host(server.url),
                timeout=ClientTimeout(HAND_ON_SECONDS),
            ) as answer:
                return Response(await answer.read(), status_code=answer.status)
        except (ClientError, OSError, TimeoutError):
            return PlainTextResponse("the leader does not answer; try again\n", status_code=503)

    async def _renew(self, held: Certificate, tls: ssl.SSLContext) -> None:
        server = self._delivery.config.report_server
        assert server.url
        while True:
            await asyncio.sleep(RENEW_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311
            try:
                found = await server_certificate(
                    self._client, self._namespace, server.secret, [_host(server.url)]
                )
            except UNANSWERED as error:
                logger.warning("the certificate was not looked at: %s", error)
                continue
            if found.authority != held.authority:
                raise AuthorityChanged("the report server's authority has changed")
            if found.certificate != held.certificate:
                load_certificate(tls, found.certificate, found.key)
                held = found


def outgoing_session() -> ClientSession:
    """For requests to stores and other replicas; it keeps no cookies and heeds no proxies."""
    return ClientSession(cookie_jar=DummyCookieJar())


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""

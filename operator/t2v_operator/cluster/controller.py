"""The operator as a process: kopf is its frame, the caches fill, the leader works.

kopf brings start-up, clean-up, signals and logging. Its watches and handlers are not used
(docs/design/a-cache-of-our-own.md).
"""

import asyncio
import gc
import itertools
import logging
import math
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import kopf
from t2v_api.reasons import REASONS
from t2v_api.resource import TextToVideoJobStatus
from t2v_client.connection import Connection, connect
from t2v_client.login import find_login

from t2v_operator.cluster.api_keys import ApiKeys
from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.capabilities import fitted
from t2v_operator.cluster.checkpoint_cleaner import CheckpointCleaner
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.counted_store import CountedStore
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.enhancing import Ask, Enhancing
from t2v_operator.cluster.errors import UNANSWERED, ClusterError, NotLeader, TryAgain
from t2v_operator.cluster.health import hangs, health_server, still_fills
from t2v_operator.cluster.kinds import JOBS, RESOURCES, SECRETS, VIDEO_MODELS, WORKLOADS, Kind
from t2v_operator.cluster.leader import Leadership, LeadershipLost
from t2v_operator.cluster.log_fields import about
from t2v_operator.cluster.metrics import JobLabels, Levels, Metrics
from t2v_operator.cluster.model_cache import ModelCache
from t2v_operator.cluster.models import ModelReconciler
from t2v_operator.cluster.output_cleaner import OutputCleaner
from t2v_operator.cluster.output_files import OutputFiles
from t2v_operator.cluster.output_ttl import OutputTtl
from t2v_operator.cluster.own_namespace import own_namespace
from t2v_operator.cluster.reconcile import Reconciler
from t2v_operator.cluster.recorder import Recorder
from t2v_operator.cluster.reflector import Reflector, WatchTooOld
from t2v_operator.cluster.reporting import AuthorityChanged, Delivery, Reporting, outgoing_session
from t2v_operator.cluster.resource_keys import ResourceKeys
from t2v_operator.cluster.reuse import Reuse
from t2v_operator.cluster.secrets import endpoint_key, webhook_secrets
from t2v_operator.cluster.store import Key
from t2v_operator.cluster.webhooks import WebhookSender
from t2v_operator.cluster.work_queue import WorkQueue
from t2v_operator.config import ConfigurationError, OperatorConfig
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.keys import key_named
from t2v_operator.core.observed import FINAL, ObservedJob, ObservedResource, Settled
from t2v_operator.core.record import is_restored
from t2v_operator.core.status import reason_of
from t2v_operator.core.throttle import ESTIMATE_SECONDS
from t2v_operator.core.trace import spans_of_video, spans_of_webhook
from t2v_operator.delivery.prompt_endpoint import Endpoint
from t2v_operator.delivery.public_http import PublicClient
from t2v_operator.delivery.tracing import Tracing, open_tracing

WORKERS = 32
"""So many resources are worked on at a time; the work is waiting for the API server."""
BATCH_SECONDS = 0.5
"""News of a pod comes in a row: scheduled, begun, over. One look takes in all of it."""

logger = logging.getLogger("t2v_operator")


def run_operator(config: OperatorConfig) -> None:
    """Run until a signal ends it, or the lease is lost."""
    asyncio.run(_run(config))


async def _run(config: OperatorConfig) -> None:
    tracing = open_tracing(os.environ)
    async with connect() as connection, outgoing_session() as session:
        # Not only the leader: its Secrets belong to every replica.
        client = Client(connection, lambda: True)
        config = await fitted(config, client)
        delivery = await Delivery.prepare(config, client, own_namespace(), session)
        operator = Operator(connection, delivery, tracing)
        await operator.check()
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)
        kopf.on.startup(registry=registry)(operator.start)
        kopf.on.cleanup(registry=registry)(operator.stop)
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.scanning.disabled = True
        # kopf itself would give up after a minute; an API server may be away for longer.
        settings.networking.error_backoffs = _Endless()
        await kopf.operator(registry=registry, settings=settings, clusterwide=True, standalone=True)


class Operator:
    """The parts, and how they hang together."""

    def __init__(
        self, connection: Connection, delivery: Delivery, tracing: Tracing | None = None
    ) -> None:
        config = self._config = delivery.config
        self._tracing = tracing
        self._metrics = Metrics()
        if delivery.store:
            counted = CountedStore(delivery.store, self._metrics.store_failed)
            delivery = delivery.with_store(counted)
        self._client = Client(connection, lambda: self._leadership.is_held, self._metrics.called)
        self._queue: WorkQueue[Key] = WorkQueue(self._work, self._told)
        self._models = ModelCache(
            self._client, own_namespace(), config, self._add_model, self._model_offered
        )
        self._catalogue = Catalogue(config, self._models.by_name)
        self._cache = Cache(
            self._client,
            config.namespaces,
            config.kueue.enabled,
            self._add,
            self._models.by_name,
            self._add_model,
            {pool.name: pool.gpus for pool in config.pools},
            self._job_over,
        )
        self._checkpoints = CheckpointCleaner(self._cache, delivery.store, config)
        self._recorder = Recorder(self._client)
        self._model_reconciler = ModelReconciler(
            self._client,
            self._models,
            self._cache,
            config,
            own_namespace(),
            _now,
            self._recorder,
            self._metrics.wrote_model,
            lambda: all(map(self._is_current, config.namespaces or ("",))),
        )
        self._leadership = Leadership(
            self._client,
            config.leader_election.namespace or own_namespace(),
            config.leader_election.name,
            f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}",
            address=_own_address(config.report_server.port),
        )
        effects = Effects(self._client, self._cache, delivery.store, tracing is not None)
        reuse = Reuse(self._cache, delivery.store, config)
        self._enhancing = Enhancing(
            self._ask_endpoint(delivery), delivery.store, config, self._queue.add
        )
        self._api_keys = self._use_keys()
        self._reconciler = Reconciler(
            self._cache,
            effects,
            self._recorder,
            reuse,
            self._enhancing,
            config,
            _now,
            self._is_current,
            self._wrote,
            self._resource_keys(),
        )
        self._reporting = Reporting(
            delivery,
            Client(connection, lambda: True, self._metrics.called),
            own_namespace(),
            self._cache,
            self._models,
            effects,
            self._leadership,
        )
        files = OutputFiles(self._cache, effects, delivery.store, reuse, config)
        self._cleaner = OutputCleaner(
            self._client,
            self._cache,
            effects,
            files,
            self._recorder,
            self._metrics.outputs_left.inc,
            _now,
        )
        self._output_ttl = OutputTtl(
            self._client, self._cache, effects, files, self._recorder, _now
        )
        self._webhooks = WebhookSender(
            self._client,
            self._cache,
            PublicClient(config.allowed_addresses),
            lambda: webhook_secrets(self._client, own_namespace(), config.webhooks.secret),
            _now,
            self._output_ttl.consider,
            self._tried_webhook,
        )
        self._must_reach: dict[tuple[Kind, str | None], int] = {}
        self._works = False
        self._tasks: list[asyncio.Task[None]] = []
        self._metrics.registry.register(
            Levels(
                self._jobs,
                self._models.by_name.values,
                self._sizes,
                self._ages,
                lambda: self._queue.depth,
                lambda: self._webhooks.backlog,
                self._leads,
            )
        )

    def _ask_endpoint(self, delivery: Delivery) -> Ask | None:
        endpoint = self._config.prompt_enhancement
        if endpoint is None:
            return None
        secret = endpoint.key_secret
        key = partial(endpoint_key, self._client, own_namespace(), secret) if secret else None
        return Endpoint(endpoint, delivery.session, key).ask

    def _use_keys(self) -> ApiKeys | None:
        if not self._config.api_keys.enabled:
            return None
        where = self._config.api_keys.namespace or own_namespace()
        return ApiKeys(self._client, where, self._key_changed)

    def _resource_keys(self) -> ResourceKeys | None:
        if self._api_keys is None:
            return None
        secret = self._config.gateway_secret
        return ResourceKeys(self._client, own_namespace(), self._api_keys, secret)

    async def check(self) -> None:
        """Raises ConfigurationError when the cluster lacks a kind that the operator needs."""
        await self._need(RESOURCES, "the cluster has no TextToVideoJobs: install the CRD first")
        if self._config.video_models:
            await self._need(
                VIDEO_MODELS,
                "the cluster has no VideoModels: install their CRD first, or set videoModels to "
                "false",
                (None,),
            )
        if self._config.kueue.enabled:
            await self._need(
                WORKLOADS,
                "kueue.enabled is true; the cluster has no Workloads (kueue.x-k8s.io/v1beta2): "
                "install Kueue first, or set it to false",
            )

    async def _need(
        self, kind: Kind, complaint: str, scopes: Iterable[str | None] | None = None
    ) -> None:
        for scope in scopes or self._scopes():
            try:
                await self._client.list(kind, scope, limit="1")
            except ClusterError as error:
                if error.status == 404:
                    raise ConfigurationError(complaint) from None
                logger.warning("%s cannot be read yet: %s", kind.plural, error)
            except UNANSWERED as error:
                logger.warning("the API server does not answer yet: %s", error)

    async def start(self, **_: Any) -> None:
        """Begin in the background. Whatever ends by itself ends the operator."""
        caches = [self._cache.run(), self._models.run()]
        if self._api_keys:
            caches.append(self._api_keys.run())
        for work in (self._lead(), self._serve_health(), *caches, self._report()):
            task = asyncio.create_task(work)
            task.add_done_callback(_end_operator)
            self._tasks.append(task)

    async def stop(self, **_: Any) -> None:
        """Let another replica lead at once: not only when the last connection has ended."""
        for task in self._tasks:
            task.cancel()
        leading, others = self._tasks[:1], self._tasks[1:]
        await asyncio.gather(*leading, return_exceptions=True)
        await self._leadership.release()
        await asyncio.gather(*others, return_exceptions=True)
        if self._tracing:
            await asyncio.to_thread(self._tracing.close)

    async def _lead(self) -> None:
        """Wait for the lease, then do the work, as long as it is held."""
        await self._cache.wait_until_full()
        await self._models.wait_until_full()
        if self._api_keys:
            await self._api_keys.wait_until_full()
        # What was listed stays for long: the garbage collector need not look through it each time.
        gc.collect()
        gc.freeze()
        await self._leadership.acquire()
        self._works = True
        for key in self._cache.resource_keys():
            self._queue.add(key)
            self._consider(key)
            for job in self._cache.jobs_of(key):
                if job.is_complete:
                    self._checkpoints.over(key, job)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._leadership.keep())
            group.create_task(self._note_positions())
            group.create_task(self._queue.run(WORKERS))
            group.create_task(self._keep_times_true())
            group.create_task(self._recorder.run())
            group.create_task(self._enhancing.run())
            group.create_task(self._webhooks.run())
            group.create_task(self._cleaner.run())
            group.create_task(self._output_ttl.run())
            group.create_task(self._checkpoints.run())
            group.create_task(self._model_reconciler.run())

    async def _keep_times_true(self) -> None:
        """Look at those at the head of a queue whose times have moved since they were told."""
        while True:
            await asyncio.sleep(ESTIMATE_SECONDS)
            for key in self._cache.those_whose_times_moved(_now()):
                self._queue.add(key)

    async def _report(self) -> None:
        """Answer runners once it is known which they are."""
        await self._cache.wait_until_full()
        await self._models.wait_until_full()
        await self._reporting.run()

    async def _note_positions(self) -> None:
        """How far the cache must be before it knows all that earlier leaders wrote."""
        for reflector in self._cache.reflectors_of(RESOURCES, JOBS):
            kind, scope = reflector.kind, reflector.scope
            while not self._has_reached(kind, scope):
                try:
                    answer = await self._client.list(kind, scope, limit="1")
                    position = int(answer["metadata"]["resourceVersion"])
                    self._must_reach.setdefault((kind, scope), position)
                    await reflector.catch_up(self._must_reach[kind, scope])
                except (*UNANSWERED, WatchTooOld) as error:
                    logger.info("the position of %s is not known yet: %s", kind.plural, error)
                if not self._has_reached(kind, scope):
                    await asyncio.sleep(1)

    def _is_current(self, namespace: str) -> bool:
        """Until it is, Jobs are made only after a look at the API server itself."""
        scope = namespace if self._config.namespaces else None
        return all(self._has_reached(kind, scope) for kind in (RESOURCES, JOBS))

    def _has_reached(self, kind: Kind, scope: str | None) -> bool:
        wanted = self._must_reach.get((kind, scope), math.inf)
        return self._cache.stores[kind].position(scope or "") >= wanted

    def _add(self, key: Key, more_follows: bool = False) -> None:
        """Of news only the leader makes work; whoever leads begins with every resource."""
        if not self._works:
            return
        self._consider(key)
        if more_follows:
            self._queue.add_later(key, BATCH_SECONDS)
        else:
            self._queue.add(key)

    def _job_over(self, owner: Key, job: ObservedJob) -> None:
        if self._works:
            self._checkpoints.over(owner, job)

    def _add_model(self, name: str) -> None:
        if self._works:
            self._model_reconciler.consider(name)

    def _model_offered(self, name: str) -> None:
        """Who waits for a model is looked at when it is ready, or is known never to be."""
        for key in self._cache.unfinished_of(name):
            self._add(key)

    def _key_changed(self, _: str) -> None:
        """Who has an API key is looked at: that one may be revoked, or may be there now."""
        for key, resource in self._cache.resources.items() if self._works else ():
            if isinstance(resource, Settled) or resource.is_finished:
                continue
            if key_named(resource.metadata, resource.spec):
                self._add(key)

    async def _work(self, key: Key) -> float | None:
        began = time.monotonic()
        try:
            return await self._reconciler.reconcile(key)
        finally:
            self._metrics.looked(time.monotonic() - began)

    def _wrote(self, resource: ObservedResource, status: TextToVideoJobStatus) -> None:
        """An own write is no news of the cache: what follows from it is done here."""
        if not is_restored(resource, status):
            self._count_end(resource, status)
            self._trace_end(resource, status)
        self._consider((resource.metadata.namespace, resource.metadata.name))

    def _consider(self, key: Key) -> None:
        """What is done beside the looks."""
        self._webhooks.consider(key)
        self._cleaner.consider(key)
        self._output_ttl.consider(key)

    def _count_end(self, resource: ObservedResource, status: TextToVideoJobStatus) -> None:
        found = self._catalogue.find(resource.spec.model_id) if resource.spec else None
        model = found.profile if found else None
        begun, started = _beginning(resource, status), status.start_time
        self._metrics.spent.wrote(
            resource.status,
            status,
            namespace=resource.metadata.namespace,
            model=model.id if model else "",
            pool=(status.pool or "") if status.pool in self._config.pool_names else "",
        )
        self._metrics.wrote(
            resource.status,
            status,
            model=model.id if model else "",
            pool=status.pool if status.pool in self._config.pool_names else "",
            gpus=model.resources.gpus if model else 0,
            waited_seconds=(started - begun).total_seconds() if started and begun else None,
        )

    def _trace_end(self, resource: ObservedResource, status: TextToVideoJobStatus) -> None:
        before = resource.status
        told = before and (before.request_hash, before.phase) == (status.request_hash, status.phase)
        if self._tracing is None or told or status.phase not in FINAL:
            return
        since, reason = _beginning(resource, status), reason_of(status)
        self._tracing.send(spans_of_video(resource.metadata, status, since, reason))

    def _tried_webhook(self, resource: ObservedResource, status: TextToVideoJobStatus) -> None:
        assert status.webhook
        self._metrics.tried_webhook(status.webhook)
        if self._tracing:
            self._tracing.send(spans_of_webhook(resource.metadata, status))

    def _told(self, key: Key, error: Exception, delay: float) -> None:
        """A look failed. What is told on the status already is no news."""
        if isinstance(error, TryAgain | NotLeader):
            logger.debug("%s/%s: %s; again in %.1f s", *key, error, delay)
            return
        self._metrics.look_failed()
        text = " ".join(str(error).split())[:300]
        words = "%s/%s: %s: %s; again in %.1f s"
        logger.warning(words, *key, type(error).__name__, text, delay, extra=about(key))
        logger.debug("in full", exc_info=error, extra=about(key))

    async def _serve_health(self) -> None:
        async with health_server(
            self._dead, self._not_ready, self._metrics.registry, self._config.health_port
        ):
            await asyncio.Event().wait()

    def _dead(self) -> str:
        return hangs(self._reflectors)

    def _not_ready(self) -> str:
        kinds = self._cache.missing_kinds() | self._models.missing_kinds()
        if self._api_keys and not self._api_keys.is_full:
            kinds |= {SECRETS}
        return still_fills(kinds)

    @property
    def _reflectors(self) -> list[Reflector]:
        of_keys = self._api_keys.reflectors if self._api_keys else []
        return [*self._cache.reflectors, *self._models.reflectors, *of_keys]

    def _scopes(self) -> Iterable[str | None]:
        return self._config.namespaces or (None,)

    def _jobs(self) -> Iterable[JobLabels]:
        """Only what the catalogue names becomes a label: the rest, users may make up."""
        models = set(self._catalogue.names)
        for _, resource in self._cache.resources.items():
            if isinstance(resource, Settled):
                phase, reason = resource.phase, resource.reason
                model, pool = resource.model, resource.pool
            else:
                status, spec = resource.status, resource.spec
                phase, reason = status.phase.value if status else "Pending", reason_of(status)
                model, pool = spec.model_id if spec else "", (status.pool if status else None) or ""
            yield (
                phase,
                model if model in models else "",
                pool if pool in self._config.pool_names else "",
                reason if reason in REASONS else "",
            )

    def _sizes(self) -> dict[Any, int]:
        return {kind: len(store) for kind, store in self._cache.stores.items()}

    def _ages(self) -> dict[Any, float]:
        return {kind: self._cache.age_seconds(kind) for kind in self._cache.stores}

    def _leads(self) -> bool:
        return self._leadership.is_held


def _beginning(resource: ObservedResource, status: TextToVideoJobStatus) -> datetime | None:
    """When the resource began to wait for this request: at its creation, or when it was changed."""
    if resource.metadata.generation == 1:
        return resource.metadata.creation_timestamp
    before = resource.status
    same = before is not None and before.request_hash == status.request_hash
    told = before if before is not None and same else status
    times = (each.last_transition_time for each in told.conditions if each.type == "Ready")
    return next(times, None)


class _Endless:
    """Pauses between attempts, as many as it takes."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 1, 2, 3, 5), itertools.repeat(10))


def _end_operator(task: "asyncio.Task[None]") -> None:
    """An operator that does only a part of its work must not look healthy."""
    if task.cancelled():
        return
    error = task.exception()
    lost = _lost(error)
    if lost:
        logger.warning("%s; so the operator ends, and starts again as a candidate", lost)
    else:
        logger.critical("a part of the operator ended; so does it", exc_info=error)
    os.kill(os.getpid(), signal.SIGTERM)


def _lost(error: BaseException | None) -> Exception | None:
    """What ends an operator for a good reason."""
    if isinstance(error, LeadershipLost | AuthorityChanged):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_lost, error.exceptions)), None)
    return None


def _own_address(port: int) -> str:
    """Where other replicas reach this one; empty outside of a pod."""
    address = os.environ.get("POD_IP", "")
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{port}" if address else ""


def _now() -> datetime:
    """The time in whole seconds, as Kubernetes writes it."""
    return datetime.now(UTC).replace(microsecond=0)


async def _login(**_: Any) -> kopf.ConnectionInfo:
    """For kopf's own look at what the API server offers: it asks for nothing else."""
    return kopf.ConnectionInfo(**vars((await find_login()()).info))

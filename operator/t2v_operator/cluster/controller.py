"""The thin shell: kopf watches, the queue orders, `reconcile` does the work.

kopf's low-level handlers only: no annotations, no finalizers, no daemons on the resources.
"""

import asyncio
import contextlib
import logging
import os
import signal
from datetime import UTC, datetime
from typing import Any

import kopf
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import ApiClient
from t2v_api.resource import GROUP, KIND, PLURAL, VERSION

from t2v_operator.cluster.client import Cluster
from t2v_operator.cluster.reconcile import Reconciler
from t2v_operator.cluster.work_queue import WorkQueue
from t2v_operator.config import ConfigurationError, OperatorConfig
from t2v_operator.core.names import JOB_LABEL, RESOURCE_ANNOTATION

WORKERS = 16
"""So many resources are worked on at a time; the work is waiting for the API server."""
HEALTH_ENDPOINT = "http://0.0.0.0:8080/healthz"

logger = logging.getLogger("t2v_operator")

Key = tuple[str, str]
"""Namespace and name of a resource."""


def run_operator(config: OperatorConfig) -> None:
    """Run until a signal ends it."""
    # A line for each handler and each probe that was called; what was decided says `reconcile`.
    for noisy in ("kopf.objects", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    asyncio.run(_run(config))


async def _run(config: OperatorConfig) -> None:
    await _load_credentials()
    async with ApiClient() as client:
        cluster = Cluster(client)
        if not await cluster.is_ready():
            raise ConfigurationError("the cluster has no TextToVideoJobs: install the CRD first")
        reconciler = Reconciler(cluster, config, _now)

        async def work(key: Key) -> float | None:
            return await reconciler.reconcile(*key)

        await kopf.operator(
            registry=_registry(WorkQueue(work)),
            settings=_settings(),
            clusterwide=not config.namespaces,
            namespaces=config.namespaces,
            standalone=True,
            liveness_endpoint=HEALTH_ENDPOINT,
        )


def _registry(queue: WorkQueue[Key]) -> kopf.OperatorRegistry:
    """Every trigger does the same: it adds the resource to the queue.

    The handlers are coroutines, as kopf calls others in threads.
    """
    registry = kopf.OperatorRegistry()
    ours: Any = {"labels": {JOB_LABEL: kopf.PRESENT}, "registry": registry}
    kopf.on.login(registry=registry)(_login)

    def add(namespace: str | None, name: str) -> None:
        assert namespace  # all that is watched has one
        queue.add((namespace, name))

    @kopf.on.startup(registry=registry)
    async def start(memo: kopf.Memo, **_: Any) -> None:
        memo.workers = asyncio.create_task(queue.run(WORKERS))
        memo.workers.add_done_callback(_end_operator)

    @kopf.on.cleanup(registry=registry)
    async def stop(memo: kopf.Memo, **_: Any) -> None:
        memo.workers.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await memo.workers

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def resource_changed(namespace: str | None, name: str, **_: Any) -> None:
        add(namespace, name)

    @kopf.on.event("batch", "v1", "jobs", **ours)
    async def job_changed(namespace: str | None, body: kopf.Body, **_: Any) -> None:
        for owner in body.metadata.get("ownerReferences") or ():
            if owner["kind"] == KIND:
                add(namespace, owner["name"])

    @kopf.on.event("", "v1", "pods", **ours)
    async def pod_changed(namespace: str | None, annotations: kopf.Annotations, **_: Any) -> None:
        if name := annotations.get(RESOURCE_ANNOTATION):
            add(namespace, name)

    return registry


def _now() -> datetime:
    """The time in whole seconds, as Kubernetes writes it."""
    return datetime.now(UTC).replace(microsecond=0)


def _end_operator(workers: asyncio.Task[None]) -> None:
    """An operator that watches and does not work must not look healthy."""
    if not workers.cancelled():
        logger.critical("the workers ended; so does the operator", exc_info=workers.exception())
        os.kill(os.getpid(), signal.SIGTERM)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # The CRD and the namespaces are there before the operator; it may not watch for new ones.
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 10
    # Of all the cluster's Jobs and pods only ours are sent.
    settings.watching.label_selectors["jobs"] = JOB_LABEL
    settings.watching.label_selectors["pods"] = JOB_LABEL
    return settings


def _login(**named: Any) -> kopf.ConnectionInfo | None:
    """The pod's service account, else the user's kubeconfig."""
    return kopf.login_with_service_account(**named) or kopf.login_with_kubeconfig(**named)


async def _load_credentials() -> None:
    """The same for our own client."""
    try:
        kubernetes_config.load_incluster_config()
    except kubernetes_config.ConfigException:
        await kubernetes_config.load_kube_config()

"""A corner of the tests' cluster for the operator's benchmarks: a namespace, a client, videos.

The control plane is real; the nodes are simulated, so no container runs and none is waited for.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientError
from t2v_api.progress import Stage
from t2v_api.resource import API_VERSION, KIND
from t2v_api.result import POSTER_FILE, VIDEO_FILE, GenerationResult, Video
from t2v_api.schedulers import Scheduler
from t2v_client.connection import connect
from t2v_client.login import as_kubeconfig_says
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import Kind

ROOT = Path(__file__).parents[1]
# The cluster's harness belongs to the tests.
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

from harness import components  # noqa: E402
from harness.layout import RUN  # noqa: E402
from harness.network import API_SERVER_PORT, BRIDGE, BRIDGE_ADDRESS  # noqa: E402
from harness.one_node import OneNodeCluster  # noqa: E402
from harness.simulated_nodes import (  # noqa: E402
    NODE_SELECTOR,
    RUN_SECONDS,
    TOLERATION,
    simulated_nodes,
)

__all__ = [
    "API_SERVER_PORT",
    "BRIDGE",
    "BRIDGE_ADDRESS",
    "RUN_SECONDS",
    "OneNodeCluster",
    "simulated_nodes",
]

AUDIT_LOG = RUN / components.AUDIT_LOG

CRDS = sorted((ROOT / "crds").glob("*.textto.video.yaml"))
"""Each file is named as what it defines."""
CLAIM = "videos"
POOL = {
    "name": "simulated",
    "nodeSelector": NODE_SELECTOR,
    "tolerations": [TOLERATION],
}
CONNECTIONS = 100

Manifest = dict[str, Any]

RESULT = GenerationResult(
    output=(VIDEO_FILE, POSTER_FILE),
    video=Video(
        sha256="a" * 64,
        frames_sha256="b" * 64,
        bytes=1000,
        width=64,
        height=64,
        frames=16,
        fps=8,
        duration=2.0,
    ),
    seed=1,
    scheduler=Scheduler.DDIM,
    scheduler_class="DDIMScheduler",
    model_revision="path:tiny-shapes",
    device="cuda",
    dtype="torch.bfloat16",
    timings={Stage.START: 0.5},
    generation_time=1.0,
)
"""What every simulated runner leaves as its termination message."""


class InUse(SystemExit):
    """The cluster is not there, or others are at work in it."""


class RecordHasGap(Exception):
    """A watch was away for too long."""


def free_cluster() -> OneNodeCluster:
    """The tests' cluster, with no other operator and no simulated nodes. Raises InUse."""
    cluster = OneNodeCluster()
    if not cluster.is_up():
        raise InUse("no cluster is up: python tests/cluster/harness up")
    if cluster.kubectl("get", "nodes", "-l", next(iter(NODE_SELECTOR)), "-o", "name"):
        raise InUse("somebody simulates nodes in the cluster already")
    operators = cluster.kubectl(
        *("get", "deployments", "-A", "-o", "name"),
        *("-l", "app.kubernetes.io/name=text-to-video-operator"),
    )
    if operators:
        raise InUse("an operator is installed in the cluster: it would take part")
    return cluster


def clean_up_when_terminated() -> None:
    """Let SIGTERM end this script as ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextmanager
def installed_crds(cluster: OneNodeCluster) -> Iterator[None]:
    """The CRDs as they are now; those are gone afterwards that were not there before."""
    there = cluster.kubectl("get", "crd", "-o", "name")
    names = [file.stem for file in CRDS]
    for file in CRDS:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
    for name in names:
        cluster.kubectl("wait", f"crd/{name}", "--for=condition=Established", "--timeout=30s")
    try:
        yield
    finally:
        for name in names:
            if f"/{name}" not in there:
                cluster.kubectl("delete", "crd", name, timeout_seconds=300)


@contextmanager
def namespace(cluster: OneNodeCluster, name: str) -> Iterator[str]:
    """A namespace with the claim that runner pods mount; gone afterwards, with all in it."""
    _remove_namespace(cluster, name)
    cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(_namespace(name)))
    try:
        yield name
    finally:
        _remove_namespace(cluster, name)


def _remove_namespace(cluster: OneNodeCluster, name: str) -> None:
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", timeout_seconds=1800)
    cluster.kubectl("delete", "pv", name, "--ignore-not-found")


def _namespace(name: str) -> list[Manifest]:
    """The volume is mounted by nobody: what counts is that the claim is bound."""
    size, modes = "1Gi", ["ReadWriteMany"]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": modes,
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "hostPath": {"path": "/nowhere"},
                "claimRef": {"name": CLAIM, "namespace": name},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM, "namespace": name},
            "spec": {
                "accessModes": modes,
                "storageClassName": "",
                "volumeName": name,
                "resources": {"requests": {"storage": size}},
            },
        },
    ]


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Client]:
    """A client of the benchmark's own; it may always write."""
    async with connect(partial(as_kubeconfig_says, [kubeconfig]), CONNECTIONS) as connection:
        yield Client(connection, lambda: True)


def a_video(name: str, namespace: str, **spec: Any) -> Manifest:
    """A resource; `spec` goes over what all have in common."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"modelId": "tiny-shapes", "prompt": "a red circle moving right", "seed": 1} | spec,
    }


async def position(client: Client, kind: Kind, namespace: str) -> str:
    """The resourceVersion that a watch can start from."""
    answer = await client.list(kind, namespace, limit="1")
    return str(answer["metadata"]["resourceVersion"])


async def events(
    client: Client, kind: Kind, namespace: str, start: str
) -> AsyncIterator[tuple[str, Manifest]]:
    """Type and object of everything that happens after `start`: one watch, nothing polled.

    A watch that breaks is taken up where it broke, so nothing is missed. Raises RecordHasGap.
    """
    params = {"allowWatchBookmarks": "true", "timeoutSeconds": "3600"}
    while True:
        try:
            async for event in client.watch(kind, namespace, 120, resourceVersion=start, **params):
                if event["type"] == "ERROR":
                    raise RecordHasGap(json.dumps(event["object"]))
                start = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield event["type"], event["object"]
        except ClusterError as error:
            if error.status == 410:
                raise RecordHasGap(str(error)) from error
        except (ClientError, TimeoutError, OSError):
            pass
        await asyncio.sleep(0.2)


async def at_a_time(width: int, calls: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    """Make all the calls, never more than `width` at once."""
    waiting = iter(calls)

    async def work() -> None:
        for call in waiting:
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(work())

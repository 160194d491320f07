"""Nodes that exist only in the API: kwok reports for them, and no container ever starts.

For tests of thousands of Jobs. A pod gets there only with the node selector and the toleration
below; it starts, ends and says what its annotations tell, or else what `simulated_nodes` was told.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from harness.cluster import SIMULATED_NODE, Cluster
from harness.components import KWOK, kwok
from harness.errors import ClusterUnavailableError
from harness.layout import HARNESS, RUN
from harness.one_node import OneNodeCluster
from harness.stopwatch import step
from harness.waiting import wait_until

NODE_SELECTOR = {SIMULATED_NODE: "true"}
TOLERATION = {"key": SIMULATED_NODE, "operator": "Exists", "effect": "NoSchedule"}

RUN_SECONDS = "simulated.textto.video/run-seconds"
"""How long the pod runs; `forever`: until it is deleted, which is exit code 143."""
EXIT_CODE = "simulated.textto.video/exit-code"
"""Of every container. The pod fails with any but 0."""
MESSAGE = "simulated.textto.video/message"
"""The termination message."""


@dataclass(frozen=True)
class SimulatedNodes:
    cluster: Cluster
    names: tuple[str, ...]

    def pods(self) -> list[dict[str, Any]]:
        """The pods on these nodes, in every namespace."""
        listed = json.loads(self.cluster.kubectl("get", "pods", "-A", "-o", "json"))["items"]
        return [pod for pod in listed if pod["spec"].get("nodeName") in self.names]


@contextmanager
def simulated_nodes(
    cluster: Cluster,
    nodes: int = 1,
    *,
    start_seconds: float = 0.0,
    run_seconds: float | None = 1.0,
    most_seconds: float | None = None,
    message: str = "",
) -> Iterator[SimulatedNodes]:
    """Have `nodes` nodes with 100,000 GPUs each until the block ends; their pods go with them.

    A pod runs after `start_seconds` and succeeds `run_seconds` later (None: it never ends, unless
    its annotation says when), or at random up to `most_seconds` later, with `message` as the
    termination message of its containers. One block at a time for a cluster. Raises
    ClusterUnavailableError for a cluster of another kind.
    """
    if not isinstance(cluster, OneNodeCluster):
        raise ClusterUnavailableError("simulated nodes need a one-node cluster of the harness")
    simulated = SimulatedNodes(cluster, tuple(f"simulated-{number}" for number in range(nodes)))
    _remove(cluster)
    stages = RUN / "settings" / "stages.yaml"
    stages.write_text(
        yaml.safe_dump_all(_stages(start_seconds, run_seconds, most_seconds, message))
    )
    cluster.start_beside(KWOK, kwok(RUN, stages, SIMULATED_NODE))
    try:
        with step(f"simulate {nodes} nodes"):
            cluster.kubectl(
                "create", "-f", "-", stdin=yaml.safe_dump_all(map(_node, simulated.names))
            )
            cluster.kubectl("wait", "node", *_OURS, "--for=condition=Ready", "--timeout=60s")
        yield simulated
    finally:
        _remove(cluster)


_OURS = ("-l", SIMULATED_NODE)


def _stages(
    start_seconds: float, run_seconds: float | None, most_seconds: float | None, message: str
) -> list[dict[str, Any]]:
    """Each stage of the files, with what this simulation wants in it."""
    files = (HARNESS / "stages" / name for name in ("nodes.yaml", "pods.yaml"))
    stages = [stage for file in files for stage in yaml.safe_load_all(file.read_text())]
    spec = {stage["metadata"]["name"]: stage["spec"] for stage in stages}
    spec["pod-starts"]["delay"]["durationMilliseconds"] = round(start_seconds * 1000)
    ends = spec["pod-ends"]
    if run_seconds is None:
        ends["selector"]["matchExpressions"].append(
            {"key": f'.metadata.annotations["{RUN_SECONDS}"]', "operator": "Exists"}
        )
    else:
        ends["delay"]["durationMilliseconds"] = round(run_seconds * 1000)
        if most_seconds is not None:
            ends["delay"]["jitterDurationMilliseconds"] = round(most_seconds * 1000)
    # A JSON string is one of Go's templates too, so long as no surrogate pair is in it.
    literal = json.dumps(message, ensure_ascii=False)
    ends["next"]["statusTemplate"] = ends["next"]["statusTemplate"].replace("MESSAGE", literal, 1)
    return stages


def _node(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                **NODE_SELECTOR,
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
            },
            "annotations": NODE_SELECTOR,
        },
        "spec": {"taints": [{"key": SIMULATED_NODE, "value": "true", "effect": "NoSchedule"}]},
    }


def _remove(cluster: OneNodeCluster) -> None:
    """Take away the nodes, their pods and kwok, also those that a killed test left."""
    names = cluster.kubectl("get", "nodes", *_OURS, "-o", "name").split()
    left = SimulatedNodes(cluster, tuple(name.removeprefix("node/") for name in names))
    if names:
        # What a controller makes anew waits, then.
        cluster.kubectl("cordon", *_OURS)
        for name in left.names:
            _delete_pods(cluster, name)
        wait_until(lambda: not left.pods(), "the simulated nodes' pods are gone", 120)
        cluster.kubectl("delete", "nodes", *_OURS)
    cluster.daemons.stop(KWOK)


def _delete_pods(cluster: OneNodeCluster, node: str) -> None:
    # Without kwok nobody else would let the pods go.
    force = () if cluster.daemons.is_alive(KWOK) else ("--force", "--grace-period=0")
    on_node = f"--field-selector=spec.nodeName={node}"
    cluster.kubectl("delete", "pods", "-A", on_node, "--wait=false", *force, timeout_seconds=600)

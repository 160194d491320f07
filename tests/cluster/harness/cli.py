"""The command line: start, stop and look at the tests' cluster by hand."""

import argparse
import sys

from harness.choice import choose_cluster
from harness.cluster import Cluster
from harness.errors import ClusterUnavailableError, HarnessError
from harness.one_node import OneNodeCluster
from harness.stopwatch import step


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 done, 1 failed or not up, 2 no cluster can be had here."""
    parser = argparse.ArgumentParser(prog="harness", description="A real Kubernetes for the tests.")
    parser.add_argument("action", choices=sorted(_ACTIONS))
    action = parser.parse_args(arguments).action
    try:
        return _ACTIONS[action](choose_cluster())
    except ClusterUnavailableError as reason:
        print(f"no cluster here: {reason}", file=sys.stderr)
        return 2
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1


def _up(cluster: Cluster) -> int:
    with step("up"):
        cluster.up()
    return _env(cluster)


def _down(cluster: Cluster) -> int:
    cluster.down()
    return 0


def _status(cluster: Cluster) -> int:
    running = cluster.is_up()
    print(f"{type(cluster).__name__}: {'up' if running else 'down'}")
    if running:
        print(cluster.kubectl("get", "nodes,pods", "-A", "-o", "wide"), end="")
    return 0 if running else 1


def _env(cluster: Cluster) -> int:
    """For `eval "$(… env)"`."""
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _prepare(cluster: Cluster) -> int:
    if isinstance(cluster, OneNodeCluster):
        cluster.prepare()
    return 0


_ACTIONS = {"up": _up, "down": _down, "status": _status, "env": _env, "prepare": _prepare}

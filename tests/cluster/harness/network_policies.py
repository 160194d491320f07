"""Enforce NetworkPolicies for as long as a test wants it: kube-router's firewall, on this machine.

The cluster's own network enforces none. A pod is let through until its address is known, and a
policy that changed takes a moment, so whoever looks polls.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import cleanup
from harness.cluster import Cluster
from harness.commands import run
from harness.components import KUBE_ROUTER, kube_router
from harness.errors import ClusterUnavailableError, HarnessError
from harness.layout import RUN
from harness.one_node import OneNodeCluster
from harness.stopwatch import step
from harness.waiting import wait_until

# Whether packets between two pods on the bridge meet iptables' rules.
_BRIDGED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


@contextmanager
def enforced_network_policies(cluster: Cluster) -> Iterator[None]:
    """Inside the block NetworkPolicies hold; afterwards no rule of theirs is left.

    Raises ClusterUnavailableError for a cluster of another kind.
    """
    if not isinstance(cluster, OneNodeCluster):
        raise ClusterUnavailableError("network policies need a one-node cluster of the harness")
    _check_bridge()
    _stop(cluster)
    cluster.start_beside(KUBE_ROUTER, kube_router(RUN))
    try:
        with step("enforce network policies"):
            wait_until(lambda: _has_rules(cluster), "kube-router has made its rules", 60)
        yield
    finally:
        _stop(cluster)


def _check_bridge() -> None:
    if not _BRIDGED.exists() or _BRIDGED.read_text().strip() != "1":
        raise HarnessError(
            f"{_BRIDGED} is not 1: load the kernel module br_netfilter and switch it on"
        )


def _has_rules(cluster: OneNodeCluster) -> bool:
    if not cluster.daemons.is_alive(KUBE_ROUTER):
        raise HarnessError(f"kube-router ended; its log is {cluster.daemons.log(KUBE_ROUTER)}")
    return "KUBE-ROUTER-FORWARD" in run(["iptables-save", "-t", "filter"])


def _stop(cluster: OneNodeCluster) -> None:
    """End kube-router, which leaves its rules, and remove them."""
    cluster.daemons.stop(KUBE_ROUTER)
    cleanup.remove_policies()

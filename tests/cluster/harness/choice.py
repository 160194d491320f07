"""Which cluster the tests use on this machine."""

import os
import platform
import shutil

from harness.cluster import Cluster
from harness.commands import run
from harness.debian_packages import can_install
from harness.errors import ClusterUnavailableError, HarnessError
from harness.go_programs import has_go
from harness.kind import KindCluster
from harness.named_context import NamedContextCluster
from harness.one_node import OneNodeCluster


def choose_cluster() -> Cluster:
    """The named context, else kind, else a one-node cluster. Raises ClusterUnavailableError."""
    context = os.environ.get("T2V_TEST_CONTEXT")
    if context:
        return NamedContextCluster(context)
    if _kind_works():
        return KindCluster()
    obstacle = _obstacle_to_one_node()
    if obstacle:
        raise ClusterUnavailableError(
            f"T2V_TEST_CONTEXT is not set; no kind with a docker engine that answers; {obstacle}"
        )
    return OneNodeCluster()


def _kind_works() -> bool:
    if not (shutil.which("kind") and shutil.which("docker") and shutil.which("kubectl")):
        return False
    try:
        run(["docker", "info"], timeout_seconds=10)
    except HarnessError:
        return False
    return True


def _obstacle_to_one_node() -> str | None:
    """What a one-node cluster lacks here, in words; None when nothing."""
    if platform.system() != "Linux":
        return "a one-node cluster needs Linux"
    if not can_install():
        return "a one-node cluster needs root and apt-get"
    if not has_go():
        return "a one-node cluster needs Go, or pip to install it with"
    return None

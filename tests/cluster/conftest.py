"""Fixtures for tests on a real Kubernetes: a cluster, the product in it, a namespace to work in."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness.choice import choose_cluster
from harness.cluster import Cluster
from harness.errors import ClusterUnavailableError
from harness.s3 import S3Server, s3_server
from installation import SYSTEM, Installation, Workspace


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster. Stopped at the end if it was started here and T2V_KEEP_CLUSTER is not 1.

    T2V_REQUIRE_CLUSTER=1 makes a machine that can't have one a failure instead of a skip.
    """
    try:
        chosen = choose_cluster()
        was_up = chosen.is_up()
        chosen.up()
    except ClusterUnavailableError as reason:
        if os.environ.get("T2V_REQUIRE_CLUSTER") == "1":
            raise
        pytest.skip(f"no Kubernetes: {reason}")
    yield chosen
    if not was_up and os.environ.get("T2V_KEEP_CLUSTER") != "1":
        chosen.down()


@contextmanager
def _namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace under the restricted Pod Security Standard, with the longest name."""
    name = f"test-{secrets.token_hex(4)}".ljust(63, "x")
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def installation(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The operator, installed from its chart; its log is printed when a test failed."""
    installed = Installation(cluster)
    installed.install(tmp_path_factory.mktemp("chart") / "values.json")
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", SYSTEM, label, "--overwrite")
    yield installed
    print(installed.logs())
    installed.uninstall()


@pytest.fixture
def workspace(installation: Installation) -> Iterator[Workspace]:
    """A fresh namespace in which the operator can make videos."""
    with _namespace(installation.cluster) as namespace:
        made = Workspace(installation.cluster, namespace)
        made.prepare()
        yield made
        made.remove()


@pytest.fixture(scope="module")
def workspace_for_all(installation: Installation) -> Iterator[Workspace]:
    """A namespace for tests that make no video."""
    with _namespace(installation.cluster) as namespace:
        yield Workspace(installation.cluster, namespace)


@pytest.fixture(scope="session")
def s3(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that tests and pods both reach."""
    try:
        address = cluster.host_address()
    except ClusterUnavailableError as reason:
        pytest.skip(f"no S3 server for pods: {reason}")
    with s3_server(address, tmp_path_factory.mktemp("s3")) as server:
        yield server

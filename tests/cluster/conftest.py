"""Fixtures for tests on a real Kubernetes: a cluster, the product in it, a namespace to work in."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness.choice import choose_cluster
from harness.cluster import Cluster
from harness.errors import ClusterUnavailableError
from harness.one_node import OneNodeCluster
from harness.s3 import S3Server, s3_server
from harness.simulated_nodes import simulated_nodes
from installation import Installation, Workspace
from metrics_seen import MetricsSeen
from simulated_videos import a_simulated_pool


@pytest.fixture(scope="session", autouse=True)
def session_began() -> datetime:
    """Before the first of these tests: what the audit log has from earlier is not theirs."""
    return datetime.now(UTC)


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


@pytest.fixture(scope="session", autouse=True)
def metrics_seen(request: pytest.FixtureRequest) -> Iterator[MetricsSeen | None]:
    """What the pods serve in this session; None where not the whole suite runs (`make grants`)."""
    if "T2V_GRANTS" not in os.environ:
        yield None
        return
    seen = MetricsSeen(request.getfixturevalue("cluster"))
    seen.start()
    yield seen
    seen.stop()


@pytest.fixture(scope="session")
def installation(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The operator, installed from its chart; its log is printed when a test failed."""
    installed = Installation(cluster)
    installed.install(tmp_path_factory.mktemp("chart") / "values.json")
    yield installed
    print(installed.logs())
    installed.uninstall()


@pytest.fixture(autouse=True)
def ordinary_configuration(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """For each test whose fixtures have not asked for another one."""
    if "installation" in request.fixturenames:
        installation: Installation = request.getfixturevalue("installation")
        installation.restore(tmp_path / "values.json")


@pytest.fixture(scope="session")
def workspace(installation: Installation) -> Iterator[Workspace]:
    """A namespace in which the operator can make videos. Each test names its resources anew.

    It has the longest name that there can be, and the restricted Pod Security Standard.
    """
    made = Workspace(installation.cluster, f"test-{secrets.token_hex(4)}".ljust(63, "x"))
    made.prepare()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def simulated(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OneNodeCluster]:
    """A pool of nodes without containers, and an operator that gives up soon.

    Their pods run until they are told to end; see `harness.simulated_nodes`.
    """
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("simulated nodes need a one-node cluster of the harness")
    values = tmp_path_factory.mktemp("chart") / "values.json"
    pools = [{"name": "default"}, a_simulated_pool(pricePerGpuHour=2.5, currency="EUR")]
    jobs = {"startDeadlineSeconds": 20, "nodeLostSeconds": 5}
    with (
        simulated_nodes(cluster, run_seconds=None),
        installation.configured(values, pools=pools, jobs=jobs),
    ):
        yield cluster


@pytest.fixture(scope="module")
def embedded(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The chart's default storage, with an address that this machine reaches too."""
    if not isinstance(installation.cluster, OneNodeCluster):
        pytest.skip("the store's address is known on a one-node cluster of the harness")
    values = tmp_path_factory.mktemp("chart") / "values.json"
    with installation.configured(values, **installation.embedded()):
        yield installation


@pytest.fixture(scope="session")
def s3(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that tests and pods both reach."""
    try:
        address = cluster.host_address()
    except ClusterUnavailableError as reason:
        pytest.skip(f"no S3 server for pods: {reason}")
    with s3_server(address, tmp_path_factory.mktemp("s3")) as server:
        yield server

"""The operator with Roles alone: it draws, and it asks for nothing that is in no namespace."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from grants import refused
from harness.one_node import OneNodeCluster
from installation import RELEASE, SYSTEM, Installation, Workspace, a_manifest
from t2v_api.resource import PLURAL

Document = dict[str, Any]


@pytest.fixture(scope="module")
def began() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def namespaced(
    installation: Installation,
    workspace: Workspace,
    began: datetime,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """It watches the workspace, with the embedded store, whose uploads need tokens to be known."""
    if not isinstance(installation.cluster, OneNodeCluster):
        pytest.skip("the store's address is known on a one-node cluster of the harness")
    values = tmp_path_factory.mktemp("chart") / "values.json"
    embedded = installation.embedded()
    chart = embedded.pop("chart") | {"rbac": {"clusterRoles": False}}
    watched = {"namespaces": [workspace.namespace]}
    with installation.configured(values, chart=chart, **watched, **embedded):
        yield installation


def of_the_release(installation: Installation, kind: str) -> list[str]:
    selector = f"app.kubernetes.io/instance={RELEASE}"
    found = installation.cluster.kubectl("get", kind, "-l", selector, "-o", "name")
    return found.split()


def test_nothing_of_it_is_outside_of_namespaces(namespaced: Installation) -> None:
    policies = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    for kind in ("clusterroles", "clusterrolebindings", *policies):
        assert of_the_release(namespaced, kind) == []
    account = f"--as=system:serviceaccount:{SYSTEM}:{RELEASE}"
    may = namespaced.cluster.kubectl("auth", "can-i", "--list", account, "-n", "default")
    assert PLURAL not in may


def test_a_video_is_drawn_and_uploaded(namespaced: Installation, workspace: Workspace) -> None:
    workspace.apply(a_manifest("namespaced", seed=7))
    status = workspace.wait_for_phase("namespaced", "Succeeded", "Failed", seconds=300)
    assert status["phase"] == "Succeeded", json.dumps(status)
    assert status["outputUrl"].startswith("http")


def test_it_asked_for_nothing_that_it_may_not_have(
    namespaced: Installation, began: datetime
) -> None:
    """But what the replicas of before asked while they were being replaced."""
    cluster = namespaced.cluster
    assert isinstance(cluster, OneNodeCluster)
    ready = json.loads(namespaced.kubectl("get", "pods", "-o", "json"))["items"]
    since = max(datetime.fromisoformat(each["status"]["startTime"]) for each in ready)
    names = {each["metadata"]["name"] for each in ready}
    user = f"system:serviceaccount:{SYSTEM}:{RELEASE}"
    events = [each for each in cluster.audit_events(max(began, since)) if each.pod in names]
    assert {str(right): event.uri for right, event in refused(events, user).items()} == {}

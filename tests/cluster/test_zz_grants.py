"""The last tests of the suite: what the product's accounts did with their rights, in all of it.

Read from the API server's audit log. A right that nobody used in the whole suite is one too many.
"""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from grants import NEVER_SEEN, Right, granted, refused, used
from harness.audit import AuditEvent
from harness.cluster import Cluster
from harness.one_node import OneNodeCluster
from installation import CHART, RELEASE, SYSTEM

Document = dict[str, Any]

GATEWAY = f"{RELEASE}-gateway"
ACCOUNTS = (RELEASE, GATEWAY)
EVERYTHING = (
    "gateway.enabled=true",
    "gateway.mayChangeModels=true",
    "config.apiKeys.enabled=true",
    "config.kueue.enabled=true",
    "config.modelCache.kind=hostPath",
    "config.modelCache.path=/var/lib/models",
    "store.service.type=NodePort",
)
"""The values that give rights."""


@pytest.fixture(scope="module")
def events(cluster: Cluster) -> list[AuditEvent]:
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("the audit log is read on a one-node cluster of the harness")
    return cluster.audit_events()


def documents(cluster: Cluster, *values: str) -> list[Document]:
    words = ("--set", ",".join(values)) if values else ()
    text = cluster.helm("template", RELEASE, CHART, "--namespace", SYSTEM, *words)
    return [each for each in yaml.safe_load_all(text) if each]


def user(account: str) -> str:
    return f"system:serviceaccount:{SYSTEM}:{account}"


@pytest.mark.parametrize("account", ACCOUNTS)
def test_nothing_was_asked_for_that_no_role_gives(
    cluster: Cluster, events: list[AuditEvent], session_began: datetime, account: str
) -> None:
    """What some values give may be refused: replicas ask for it while they are replaced."""
    rights = granted(documents(cluster, *EVERYTHING), account)
    since = [event for event in events if event.time >= session_began]
    found = refused(since, user(account))
    wrong = {str(right): event.uri for right, event in found.items() if right not in rights}
    assert wrong == {}, f"{account} was refused; give it the right, or do not ask"


@pytest.mark.skipif(
    "T2V_GRANTS" not in os.environ,
    reason="what is never used, only the whole suite can tell: `make grants`",
)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_no_right_is_one_too_many(
    cluster: Cluster, events: list[AuditEvent], request: pytest.FixtureRequest, account: str
) -> None:
    rights = granted(documents(cluster, *EVERYTHING), account) - NEVER_SEEN
    never = sorted(rights - used(events, user(account)))
    if never and (left_out := _left_out(request.session.items)):
        text = f"{account} has not used {_list(never)} yet; the rest of the suite may: {left_out}"
        pytest.skip(text)
    assert never == [], f"{account} never uses {_list(never)}: take it from the chart's roles"


def _left_out(items: Iterable[pytest.Item]) -> str:
    """The files of the suite of which nothing ran in this session."""
    ran = {item.path.name for item in items}
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    return ", ".join(sorted(files - ran))


def _list(rights: list[Right]) -> str:
    return ", ".join(map(str, rights))

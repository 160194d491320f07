"""API keys on a real cluster: a pool that requires one, and where a key never stands."""

import base64
import json
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from harness.cluster import Cluster
from harness.commands import run
from harness.waiting import wait_until
from installation import LONG, SYSTEM, Installation, Workspace, a_manifest
from t2v_api.api_key import id_of

Document = dict[str, Any]

SLOW, FAST, OTHER = "default", "fast", "other"
REFUSED_SECONDS = 10


@pytest.fixture(scope="module")
def keyed(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An operator with one pool for all, and two that require a key."""
    values = tmp_path_factory.mktemp("chart") / "values.json"
    price = {"pricePerGpuHour": 2.5, "currency": "EUR"}
    closed = [{"name": name, "keys": "required", **price} for name in (FAST, OTHER)]
    pools = [{"name": SLOW, **price}, *closed]
    with installation.configured(values, pools=pools, apiKeys={"enabled": True}):
        yield installation


def t2v(workspace: Workspace, *words: str) -> str:
    """The program, as a user has it, on the tests' cluster."""
    environment = {"KUBECONFIG": str(workspace.cluster.kubeconfig)}
    return run([sys.executable, "-m", "t2v_operator", *words], environment=environment)


def a_key(workspace: Workspace, *pools: str) -> str:
    """A new key for the workspace, which opens these pools."""
    opened = [word for pool in pools for word in ("--pool", pool)]
    words = ("--name", "alice", "--namespace", workspace.namespace, *opened)
    return t2v(workspace, "key", "create", *words).strip()


def the_id(key: str) -> str:
    found = id_of(key)
    assert found
    return found


def with_key(workspace: Workspace, key: str) -> Document:
    """The reference to a Secret that holds the key."""
    name = f"key-{secrets.token_hex(4)}"
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"key": key},
    }
    workspace.apply(manifest)
    return {"keySecretRef": {"name": name}}


def a_name() -> str:
    return f"keyed-{secrets.token_hex(4)}"


def the_reason(status: Document) -> str:
    return str(status["conditions"][0]["reason"])


def what_is_kept(installation: Installation) -> str:
    """All that stands in the operator's namespace, its Secrets decoded."""
    kinds = "secrets,configmaps,events,leases"
    items = json.loads(installation.kubectl("get", kinds, "-o", "json"))["items"]
    data = [each["data"] for each in items if each["kind"] == "Secret" and "data" in each]
    decoded = [base64.b64decode(value) for each in data for value in each.values()]
    return json.dumps(items) + b"\n".join(decoded).decode(errors="replace")


def is_refused(workspace: Workspace, name: str, reason: str, seconds: float = 60) -> Document:
    status = workspace.wait_for_phase(name, "Failed", "Succeeded", "Running", seconds=seconds)
    assert (status["phase"], the_reason(status)) == ("Failed", reason), status["message"]
    assert not workspace.children("jobs", name)
    return status


def test_a_pool_that_requires_a_key_runs_with_one_alone_and_the_key_stands_nowhere(
    keyed: Installation, workspace: Workspace
) -> None:
    key = a_key(workspace, FAST)
    reference = with_key(workspace, key)
    without, with_one, open_to_all = a_name(), a_name(), a_name()
    workspace.apply(
        a_manifest(without, pool=FAST, seed=11),
        a_manifest(with_one, **reference, seed=12),
        a_manifest(open_to_all, seed=13),
    )
    refused = is_refused(workspace, without, "PoolNeedsKey")
    assert "keySecretRef" in refused["message"]
    for name, pool in ((with_one, FAST), (open_to_all, SLOW)):
        made = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
        assert (made["phase"], made["pool"]) == ("Succeeded", pool), made["message"]
    (job,) = workspace.children("jobs", with_one)
    assert job["metadata"]["labels"]["textto.video/api-key"] == the_id(key)
    rest = key.removeprefix(f"t2v_{the_id(key)}_")
    seen = workspace.kubectl("get", "t2v,jobs,pods,events", "-o", "json") + keyed.logs()
    assert rest not in seen
    assert rest not in what_is_kept(keyed)
    listed = t2v(workspace, "key", "list")
    assert the_id(key) in listed
    assert rest not in listed


def test_a_pool_that_the_key_does_not_open_is_refused(
    keyed: Installation, workspace: Workspace
) -> None:
    reference = with_key(workspace, a_key(workspace, FAST))
    for pool in (OTHER, SLOW):
        name = a_name()
        workspace.apply(a_manifest(name, **reference, pool=pool))
        assert pool in is_refused(workspace, name, "PoolNeedsKey")["message"]


@pytest.fixture
def one_gpu(cluster: Cluster) -> Iterator[None]:
    cluster.set_gpus(1)
    yield
    cluster.set_gpus(2)


@pytest.mark.usefixtures("one_gpu")
def test_a_revoked_key_refuses_what_is_new_and_what_waits_and_lets_go_on_what_runs(
    keyed: Installation, workspace: Workspace
) -> None:
    key = a_key(workspace, FAST)
    reference = with_key(workspace, key)
    runs, waits, comes = a_name(), a_name(), a_name()
    workspace.apply(a_manifest(runs, **reference, seed=21, **{**LONG, "numInferenceSteps": 60}))
    workspace.wait_for_phase(runs, "Running")
    workspace.apply(a_manifest(waits, **reference, seed=22))
    workspace.wait_for(
        waits,
        lambda status: status.get("phase") == "Queued" and "Insufficient" in status["message"],
        "waiting for the GPU",
    )
    t2v(workspace, "key", "revoke", the_id(key))
    workspace.apply(a_manifest(comes, **reference, seed=23))
    for name in (comes, waits):
        status = workspace.wait_for_phase(name, "Failed", "Succeeded", seconds=REFUSED_SECONDS)
        assert the_reason(status) == "KeyRefused", status["message"]
    wait_until(lambda: not workspace.children("jobs", waits), "its Job is gone", 60)
    made = workspace.wait_for_phase(runs, "Succeeded", "Failed", seconds=300)
    assert made["phase"] == "Succeeded", made["message"]


def test_a_secret_that_comes_after_its_resource_is_waited_for(
    keyed: Installation, workspace: Workspace
) -> None:
    name, secret = a_name(), f"late-{secrets.token_hex(4)}"
    workspace.apply(a_manifest(name, keySecretRef={"name": secret}, seed=31))
    workspace.wait_for(
        name,
        lambda status: bool(status.get("conditions")) and the_reason(status) == "KeyNotAvailable",
        "waiting for its key",
    )
    key = a_key(workspace, FAST)
    workspace.kubectl("create", "secret", "generic", secret, f"--from-literal=key={key}")
    made = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
    assert (made["phase"], made["pool"]) == ("Succeeded", FAST), made["message"]


def test_a_key_of_another_namespace_and_a_forged_label_open_nothing(
    keyed: Installation, workspace: Workspace
) -> None:
    words = ("--name", "bob", "--namespace", "elsewhere", "--pool", FAST)
    elsewhere = t2v(workspace, "key", "create", *words).strip()
    name = a_name()
    workspace.apply(a_manifest(name, **with_key(workspace, elsewhere)))
    is_refused(workspace, name, "KeyRefused")
    own = a_key(workspace, FAST)
    forged = a_manifest(a_name(), pool=FAST)
    forged["metadata"]["labels"] = {"textto.video/api-key": the_id(own)}
    forged["metadata"]["annotations"] = {"textto.video/api-key-grant": "0" * 64}
    workspace.apply(forged)
    is_refused(workspace, forged["metadata"]["name"], "KeyRefused")


def test_a_damaged_key_is_logged_without_its_content(
    keyed: Installation, workspace: Workspace
) -> None:
    name = f"damaged-{secrets.token_hex(4)}"
    mistake = f"t2v_{'0' * 12}_{'m' * 43}"
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"textto.video/api-key": "0" * 12}},
        "stringData": {"digest": mistake, "key.json": mistake},
    }
    keyed.cluster.kubectl("-n", SYSTEM, "apply", "-f", "-", stdin=json.dumps(manifest))
    try:
        wait_until(lambda: name in keyed.logs(), "the log names it", 30)
        assert "m" * 43 not in keyed.logs()
    finally:
        keyed.kubectl("delete", "secret", name)

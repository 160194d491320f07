"""`t2v doctor` on a real cluster: faults are planted one by one, and each is named."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.cluster import Cluster
from harness.commands import run
from harness.waiting import wait_until
from installation import RELEASE, SYSTEM, Installation, a_manifest

Document = dict[str, Any]
Plant = Callable[[Cluster], AbstractContextManager[None]]
AS_HELM = ("apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-")
"""Else the next upgrade meets another manager of the fields."""
OF_THE_SERVER = ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields")


@pytest.fixture(scope="module")
def namespace(embedded: Installation) -> Iterator[str]:
    """One without videos."""
    name = f"doctor-{secrets.token_hex(3)}"
    embedded.cluster.kubectl("create", "namespace", name)
    yield name
    embedded.cluster.kubectl("delete", "namespace", name, "--wait=false")


def faults(cluster: Cluster, namespace: str) -> dict[str, str]:
    """What is at fault, by check; the exit code says the same."""
    words = ["doctor", "-n", namespace, "--kubeconfig", str(cluster.kubeconfig), "-o", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "t2v_operator", *words], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["items"]
    named = {each["check"]: each["told"] for each in found if each["verdict"] == "fault"}
    assert done.returncode == bool(named), done.stderr
    assert all(each["toDo"] for each in found if each["verdict"] == "fault")
    return named


def read(cluster: Cluster, *place: str) -> Document:
    document: Document = json.loads(cluster.kubectl("get", *place, "-o", "json"))
    for field in OF_THE_SERVER:
        document["metadata"].pop(field, None)
    return document


@contextmanager
def deleted(cluster: Cluster, *place: str) -> Iterator[None]:
    before = read(cluster, *place)
    cluster.kubectl("delete", *place)
    try:
        yield
    finally:
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(before))


@contextmanager
def changed(cluster: Cluster, change: Callable[[Document], Any], *place: str) -> Iterator[None]:
    before, after = read(cluster, *place), read(cluster, *place)
    change(after)
    cluster.kubectl(*AS_HELM, stdin=json.dumps(after))
    try:
        yield
    finally:
        cluster.kubectl(*AS_HELM, stdin=json.dumps(before))


def configured(change: Callable[[Document], Any]) -> Plant:
    """The operator does not read its ConfigMap while it runs: only the doctor sees this."""

    def write(document: Document) -> None:
        config = yaml.safe_load(document["data"]["config.yaml"])
        change(config)
        document["data"]["config.yaml"] = yaml.safe_dump(config)

    return lambda cluster: changed(cluster, write, "configmap", RELEASE, "-n", SYSTEM)


def forget_a_field(crd: Document) -> None:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["trackId"]


@contextmanager
def no_store(cluster: Cluster) -> Iterator[None]:
    place = (f"statefulset/{RELEASE}-store", "-n", SYSTEM)
    cluster.kubectl("scale", "--replicas=0", *place)
    ready = ("get", *place, "-o", "jsonpath={.status.readyReplicas}")
    try:
        wait_until(lambda: cluster.kubectl(*ready) in ("", "0"), "the store is gone", 60)
        yield
    finally:
        cluster.kubectl("scale", "--replicas=1", *place)
        cluster.kubectl("rollout", "status", *place, "--timeout=120s")


@contextmanager
def no_gpus(cluster: Cluster) -> Iterator[None]:
    cluster.set_gpus(0)
    try:
        yield
    finally:
        cluster.set_gpus(1)


FAULTS: dict[str, tuple[str, str, Plant]] = {
    "an older CRD": (
        "crd",
        "lacks spec.trackId",
        lambda cluster: changed(cluster, forget_a_field, "crd", "texttovideojobs.textto.video"),
    ),
    "no rights": (
        "rbac",
        "may not get texttovideojobs",
        lambda cluster: deleted(cluster, "clusterrolebinding", f"{RELEASE}.{SYSTEM}"),
    ),
    "no GPU": ("gpus", "none offers nvidia.com/gpu", no_gpus),
    "no runtime class": (
        "runtime-class",
        "RuntimeClass no-such-class, which is not there",
        configured(lambda config: config["pools"][0].update(runtimeClassName="no-such-class")),
    ),
    "no store": ("store", "is not ready", no_store),
    "links that lead nowhere": (
        "store",
        "http://127.0.0.1:9 does not open",
        configured(lambda config: config["storage"].update(url="http://127.0.0.1:9")),
    ),
    "no model cache": (
        "model-cache",
        f"no claim {SYSTEM}/no-such-claim",
        configured(
            lambda config: config.update(modelCache={"kind": "claim", "claimName": "no-such-claim"})
        ),
    ),
    "another name's certificate": (
        "certificate",
        "not that of elsewhere.svc",
        configured(lambda config: config["reportServer"].update(url="https://elsewhere.svc")),
    ),
    "no queue": (
        "kueue",
        "",
        configured(
            lambda config: config.update(
                kueue={"enabled": True}, pools=[{"name": "default", "queueName": "no-such-queue"}]
            )
        ),
    ),
    "a wrong configuration": (
        "configuration",
        "pools",
        configured(lambda config: config.update(pools=[])),
    ),
}


def test_nothing_is_at_fault_with_what_the_chart_installs(
    embedded: Installation, namespace: str
) -> None:
    """Once somebody leads: a lease that nobody gave back, as after an uninstall, has to end."""
    wait_until(lambda: faults(embedded.cluster, namespace) == {}, "all is well", 60)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_alone(embedded: Installation, namespace: str, name: str) -> None:
    check, told, plant = FAULTS[name]
    with plant(embedded.cluster):
        found = faults(embedded.cluster, namespace)
    # A store that is down opens no link either, which is the same check.
    assert list(found) == [check]
    if check != "store" or name != "no store":
        assert told in found[check]
    # A store's address leads to it again some seconds after its pod is ready.
    wait_until(lambda: faults(embedded.cluster, namespace) == {}, "all is well again", 60)


def test_an_operator_that_is_gone_leads_nobody_and_its_webhooks_are_seen(
    embedded: Installation, namespace: str
) -> None:
    embedded.stop()
    try:
        manifest = json.dumps(a_manifest("red"))
        embedded.cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)
        status = {"status": {"phase": "Failed", "webhook": {"attempts": 2}}}
        words = ("patch", "t2v", "red", "-n", namespace, "--subresource=status", "--type=merge")
        embedded.cluster.kubectl(*words, "-p", json.dumps(status))
        wait_until(
            lambda: set(faults(embedded.cluster, namespace)) == {"operator", "lease", "webhooks"},
            "all three are named",
            90,
        )
    finally:
        embedded.cluster.kubectl("delete", "t2v", "red", "-n", namespace, "--ignore-not-found")
        embedded.start()


def test_a_user_without_rights_is_told_so_and_sees_no_secret(
    embedded: Installation, namespace: str, tmp_path: Path
) -> None:
    cluster = embedded.cluster
    cluster.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    token = cluster.kubectl("create", "token", "nobody", "-n", namespace).strip()
    view = yaml.safe_load(cluster.kubectl("config", "view", "--raw", "--minify"))
    view["users"] = [{"name": view["users"][0]["name"], "user": {"token": token}}]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(view))
    words = ["--operator-namespace", SYSTEM, "--kubeconfig", str(file), "-n", namespace]
    done = subprocess.run(
        [sys.executable, "-m", "t2v_operator", "doctor", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "forbidden" in done.stdout
    assert token not in done.stdout + done.stderr


def test_the_plugin_is_what_kubectl_finds(embedded: Installation, tmp_path: Path) -> None:
    plugin = tmp_path / "kubectl-t2v"
    plugin.write_text(f'#!/bin/sh\nexec {sys.executable} -m t2v_operator "$@"\n')
    plugin.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "KUBECONFIG": str(embedded.cluster.kubeconfig),
    }
    assert "kueue" in run(["kubectl", "t2v", "doctor", "-n", SYSTEM], environment=environment)

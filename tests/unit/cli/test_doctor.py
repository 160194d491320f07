"""`t2v doctor`: of a healthy installation nothing is said; each fault is named, with what to do."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from t2v_operator.cli.main import main

from tests.unit.cli import healthy
from tests.unit.client.cluster import Cluster

Capture = pytest.CaptureFixture[str]
VIDEOS_CRD = f"{healthy.CRDS}/texttovideojobs.textto.video"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@pytest.fixture
def installed(cluster: Cluster) -> Cluster:
    healthy.make_healthy(cluster)
    return cluster


def examined(capsys: Capture) -> tuple[int, dict[str, list[Any]]]:
    """The exit code, and what was found by check."""
    code = main(["doctor", "-o", "json"])
    findings: dict[str, list[Any]] = {}
    for each in json.loads(capsys.readouterr().out)["items"]:
        findings.setdefault(each["check"], []).append(each)
    return code, findings


def test_nothing_is_wrong_with_what_is_healthy(installed: Cluster, capsys: Capture) -> None:
    code, findings = examined(capsys)
    found = {(e["check"], e["verdict"], e["told"]) for each in findings.values() for e in each}
    assert {verdict for _, verdict, _ in found} == {"ok"}, found
    assert code == 0
    assert set(findings) == {
        "crd",
        "operator",
        "configuration",
        "rbac",
        "your-rights",
        "gpus",
        "runtime-class",
        "store",
        "model-cache",
        "certificate",
        "lease",
        "webhooks",
        "kueue",
    }


def the_node(cluster: Cluster) -> Any:
    return cluster.objects[healthy.NODES]["items"][0]


def an_older_crd(cluster: Cluster) -> None:
    schema = cluster.objects[VIDEOS_CRD]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["speed"]


def no_replica(cluster: Cluster) -> None:
    deployment = cluster.objects[f"{healthy.APPS}/deployments"]["items"][-1]
    deployment["status"] = {}
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    cluster.objects[f"{healthy.CORE}/pods"]["items"] = [
        {"metadata": {"name": "t2v-1"}, "status": {"containerStatuses": [waiting]}}
    ]


def a_webhook_without_an_answer(cluster: Cluster) -> None:
    cluster.put("red", status={"webhook": {"attempts": 3}})


def an_inactive_queue(cluster: Cluster) -> None:
    conditions = [{"type": "Active", "status": "False", "message": "no flavor"}]
    cluster.objects[f"{healthy.KUEUE}/clusterqueues"]["items"][0]["status"] = {
        "conditions": conditions
    }


def a_stalled_model(cluster: Cluster) -> None:
    condition = {"type": "Stalled", "status": "True", "reason": "PrefetchFailed", "message": "401"}
    model = {"metadata": {"name": "wan"}, "spec": {}, "status": {"conditions": [condition]}}
    cluster.objects[healthy.MODELS] = {"items": [model]}


def removed(path: str) -> Callable[[Cluster], None]:
    return lambda cluster: cluster.objects.pop(path)


FAULTS: dict[str, tuple[Callable[[Cluster], Any], str, str]] = {
    "no CRD": (removed(VIDEOS_CRD), "crd", "texttovideojobs.textto.video is not installed"),
    "an older CRD": (an_older_crd, "crd", "lacks spec.speed"),
    "no replica": (no_replica, "operator", "0 of 1 replicas .* ImagePullBackOff"),
    "a wrong configuration": (
        lambda cluster: healthy.configured(cluster, pools=[]),
        "configuration",
        "pools",
    ),
    "no right to make Jobs": (
        lambda cluster: cluster.objects.update({REVIEWS: healthy.allowing("jobs")}),
        "rbac",
        "t2v-system:t2v may not get jobs, list jobs",
    ),
    "no device plugin": (
        lambda cluster: the_node(cluster)["status"].update(allocatable={"cpu": "8"}),
        "gpus",
        "none offers nvidia.com/gpu",
    ),
    "no node of the pool": (
        lambda cluster: the_node(cluster)["metadata"].update(labels={}),
        "gpus",
        "no node has the labels gpu=yes",
    ),
    "cordoned nodes": (
        lambda cluster: the_node(cluster)["spec"].update(unschedulable=True),
        "gpus",
        "0 nodes that take pods",
    ),
    "no runtime class": (
        removed(healthy.RUNTIME_CLASS),
        "runtime-class",
        "RuntimeClass nvidia, which is not there",
    ),
    "a store that is down": (
        lambda cluster: cluster.objects[healthy.STORE]["items"][0].update(status={}),
        "store",
        "store is not ready",
    ),
    "a store that is not written": (
        lambda cluster: cluster.objects.update(
            {healthy.METRICS: 't2v_store_errors_total{operation="grant"} 3.0\n'}
        ),
        "store",
        "grant 3 times",
    ),
    "links that do not open": (
        lambda cluster: healthy.configured(
            cluster, storage={"kind": "embedded", "url": "http://127.0.0.1:9"}
        ),
        "store",
        "http://127.0.0.1:9 does not open",
    ),
    "no model cache": (removed(healthy.CLAIM), "model-cache", "no claim t2v-system/models"),
    "a model that was given up": (a_stalled_model, "model-cache", "wan: PrefetchFailed: 401"),
    "no certificate": (removed(healthy.SECRET), "certificate", "no Secret t2v-report"),
    "an old certificate": (
        lambda cluster: healthy.certified(cluster, days_ago=5000),
        "certificate",
        "ended on",
    ),
    "another name's certificate": (
        lambda cluster: healthy.certified(cluster, "elsewhere.svc"),
        "certificate",
        "not that of t2v-report",
    ),
    "no lease": (removed(healthy.LEASE), "lease", "no Lease t2v-system/t2v"),
    "an old lease": (
        lambda cluster: healthy.leading(cluster, 600.0),
        "lease",
        "not renewed the Lease for 10 min",
    ),
    "webhooks that do not get out": (a_webhook_without_an_answer, "webhooks", "1 of 1 reach"),
    "no Kueue": (removed(f"{healthy.KUEUE}/localqueues"), "kueue", "is not installed"),
    "no queue": (
        lambda cluster: cluster.objects.update({f"{healthy.KUEUE}/localqueues": {"items": []}}),
        "kueue",
        "the LocalQueue films, not there in films",
    ),
    "a queue without quota": (an_inactive_queue, "kueue", "all is not active: no flavor"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_with_what_to_do(
    installed: Cluster, capsys: Capture, name: str
) -> None:
    plant, check, told = FAULTS[name]
    plant(installed)
    code, findings = examined(capsys)
    assert code == 1
    faults = [each for each in findings[check] if each["verdict"] == "fault"]
    assert len(faults) == 1
    assert re.search(told, faults[0]["told"]), faults
    assert faults[0]["toDo"]


def test_who_may_not_look_is_told_so_and_nothing_is_called_a_fault(
    installed: Cluster, capsys: Capture
) -> None:
    for path in (healthy.NODES, healthy.SECRET, healthy.METRICS):
        installed.objects[path] = 403
    code, findings = examined(capsys)
    assert code == 0
    for check in ("gpus", "certificate", "store"):
        assert "warning" in [each["verdict"] for each in findings[check]]
        assert any("not looked at" in each["told"] for each in findings[check])


def test_people_read_a_line_and_below_it_what_to_do(installed: Cluster, capsys: Capture) -> None:
    del installed.objects[healthy.RUNTIME_CLASS]
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    found = next(i for i, line in enumerate(lines) if line.startswith("fault"))
    assert lines[found].startswith("fault    runtime-class  pool default names")
    assert lines[found + 1].strip().startswith("install the GPU operator")
    assert "do-not-tell" not in printed


def test_no_operator_is_the_only_finding(installed: Cluster, capsys: Capture) -> None:
    installed.objects[f"{healthy.APPS}/deployments"] = {"items": []}
    code, findings = examined(capsys)
    assert (code, list(findings)) == (1, ["operator"])


def test_links_by_localhost_are_a_warning_alone(installed: Cluster, capsys: Capture) -> None:
    healthy.configured(installed, storage={"kind": "embedded", "url": "http://localhost:9"})
    code, findings = examined(capsys)
    assert code == 0
    assert "port-forward" in findings["store"][-1]["told"]


def test_a_video_that_is_there_is_opened_by_its_link(installed: Cluster, capsys: Capture) -> None:
    installed.put("red")
    installed.succeed("red")
    _, findings = examined(capsys)
    assert findings["store"][-1]["told"] == "the link of red opens from here"
    installed.expired_links = 1
    _, findings = examined(capsys)
    assert "the link of red is refused with 403" in findings["store"][-1]["told"]

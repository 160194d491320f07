"""The values files of examples/values on a cluster: what stands in them, and a video made with it.

Images, the model's size and the addresses of this cluster go over them, and nothing else.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from harness.one_node import OneNodeCluster
from harness.s3 import S3Server
from harness.waiting import wait_until
from installation import (
    CHART,
    RELEASE,
    ROOT,
    SYSTEM,
    Document,
    Installation,
    Workspace,
    a_manifest,
)
from kueue import QUEUE, KueueInstallation

from crds import apply_crds, delete_crds

FILES = ROOT / "examples" / "values"
TEAMS = ("films", "ads")
SECONDS = 400


def over_the_file(installation: Installation, **config: Any) -> Document:
    """What has to be this cluster's own."""
    ours = installation.values()
    kept = {key: ours["config"][key] for key in ("models", "podTemplatePatch")}
    runner = {"image": ours["config"]["runner"]["image"], "pullPolicy": "Never"}
    image = ours["image"] | {"digest": ""}
    return {"image": image, "config": {**kept, "runner": runner, **config}}


@contextmanager
def installed(
    installation: Installation, file: str, over: Document, folder: Path
) -> Iterator[None]:
    """The chart with the file's values until the block ends."""
    values = folder / "values.json"
    values.write_text(json.dumps(over))
    installation.cluster.helm(
        *("upgrade", "--install", RELEASE, CHART, "--namespace", SYSTEM),
        *("--values", FILES / file, "--values", values, "--wait", "--timeout", "5m"),
    )
    try:
        yield
    finally:
        installation.upgrade(values)


@contextmanager
def labelled_node(installation: Installation, label: str) -> Iterator[None]:
    key = label.partition("=")[0]
    installation.cluster.kubectl("label", "node", "--all", label)
    try:
        yield
    finally:
        installation.cluster.kubectl("label", "node", "--all", f"{key}-")


@contextmanager
def applied(installation: Installation, *documents: Document) -> Iterator[None]:
    every = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    installation.cluster.kubectl("apply", "-f", "-", stdin=every)
    try:
        yield
    finally:
        installation.cluster.kubectl("delete", "-f", "-", "--wait=false", stdin=every)


@contextmanager
def monitors(installation: Installation, folder: Path) -> Iterator[None]:
    """The Prometheus operator's kinds, with any fields: kubeconform knows the real ones."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    files = []
    for kind, plural in (("PodMonitor", "podmonitors"), ("PrometheusRule", "prometheusrules")):
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": schema},
        }
        group = "monitoring.coreos.com"
        spec = {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
        }
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": spec,
        }
        files.append(folder / f"{plural}.json")
        files[-1].write_text(json.dumps(definition))
    apply_crds(installation.cluster, files)
    try:
        yield
    finally:
        delete_crds(installation.cluster, files)


@pytest.fixture
def one_node(installation: Installation) -> None:
    if not isinstance(installation.cluster, OneNodeCluster):
        pytest.skip("these files are tried on a one-node cluster of the harness")


@pytest.mark.usefixtures("one_node")
def test_a_small_cluster(installation: Installation, workspace: Workspace, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir(mode=0o777)
    runtime = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "nvidia"},
        "handler": "runc",
    }
    over = over_the_file(installation, modelCache={"path": str(models)})
    with (
        labelled_node(installation, "gpu=rtx-4090"),
        applied(installation, runtime),
        installed(installation, "small-cluster.yaml", over, tmp_path),
    ):
        workspace.apply(a_manifest("at-home", seed=secrets.randbelow(2**31)))
        status = workspace.wait_for_phase("at-home", "Succeeded", "Failed", seconds=SECONDS)
        assert status["phase"] == "Succeeded", status["message"]
        video = httpx2.get(status["outputUrl"], trust_env=False)
        assert len(video.content) == status["video"]["bytes"]
        (job,) = workspace.children("jobs", "at-home")
        pod = job["spec"]["template"]["spec"]
        assert (pod["nodeSelector"]["gpu"], pod["runtimeClassName"]) == ("rtx-4090", "nvidia")
        workspace.kubectl("delete", "t2v", "at-home")


@pytest.fixture
def teams(installation: Installation, one_node: None, tmp_path: Path) -> Iterator[list[Workspace]]:
    """Their namespaces with Kueue's queues; the models' claim there and beside the operator."""
    kueue = KueueInstallation(installation.cluster)
    kueue.install(gpus=1)
    made = [Workspace(installation.cluster, name) for name in TEAMS]
    models = tmp_path / "models"
    models.mkdir(mode=0o777)
    places = [*made, Workspace(installation.cluster, SYSTEM)]
    try:
        for team in made:
            kueue.manage(team.namespace)
            team.apply(*(a_queue(name) for name in ("videos", "videos-large")))
            team.prepare_claims()
        for place in places:
            place.shares("models", models)
        yield made
    finally:
        for place in places:
            place.shares_no_more("models")
        for team in made:
            team.remove()
        kueue.uninstall()


def ready_replicas(installation: Installation) -> dict[str, int]:
    """Of each Deployment."""
    found = json.loads(installation.kubectl("get", "deployments", "-o", "json"))["items"]
    return {each["metadata"]["name"]: each["status"].get("readyReplicas", 0) for each in found}


def a_queue(name: str) -> Document:
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "LocalQueue",
        "metadata": {"name": name},
        "spec": {"clusterQueue": QUEUE},
    }


def test_many_pools(
    installation: Installation, teams: list[Workspace], s3: S3Server, tmp_path: Path
) -> None:
    s3.make_bucket("videos")
    options = {"endpoint": s3.endpoint, "region": s3.region}
    credentials = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bucket-credentials", "namespace": SYSTEM},
        "stringData": {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key},
    }
    monitoring = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}}
    over = over_the_file(installation, storage={"options": options})
    with (
        labelled_node(installation, "nvidia.com/gpu.product=NVIDIA-L4"),
        monitors(installation, tmp_path),
        applied(installation, monitoring, credentials),
        installed(installation, "many-pools.yaml", over, tmp_path),
    ):
        films, _ = teams
        films.apply(a_manifest("in-the-bucket", seed=secrets.randbelow(2**31)))
        status = films.wait_for_phase("in-the-bucket", "Succeeded", "Failed", seconds=SECONDS)
        assert status["phase"] == "Succeeded", status["message"]
        assert status["outputUrl"].startswith(f"{s3.endpoint}/videos/videos/films/")
        video = httpx2.get(status["outputUrl"], trust_env=False)
        assert len(video.content) == status["video"]["bytes"]
        (job,) = films.children("jobs", "in-the-bucket")
        assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "videos"
        # The autoscaler sees to its least number of gateways.
        wanted = {RELEASE: 2, f"{RELEASE}-gateway": 3}
        wait_until(lambda: ready_replicas(installation) == wanted, f"{wanted} are ready", 120)
        films.kubectl("delete", "t2v", "in-the-bucket")

"""VideoModels in a folder of each node, on a real cluster of one node."""

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.components import NODE
from harness.layout import CACHE
from harness.one_node import OneNodeCluster
from harness.runner_environment import runner_environment
from harness.waiting import wait_until
from installation import PACKAGES_CLAIM, ROOT, SYSTEM, Installation, Workspace, a_manifest

from tests.cluster.test_models import (
    REPOSITORY,
    WEIGHTS,
    a_model,
    apply,
    files_of,
    is_ready,
    the_model,
)
from tests.runner.hub_server import COMMIT, Hub, Repository, serving

NEWCOMER = "newcomer"


@dataclass(frozen=True)
class Place:
    """A hub with tiny-shapes, and the folder of the node that models come into."""

    hub: Hub
    folder: Path

    @property
    def model(self) -> Path:
        """Where the node has tiny-shapes."""
        return self.folder / "models" / REPOSITORY.replace("/", "--") / COMMIT


@pytest.fixture(scope="module")
def place(
    installation: Installation, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """An operator that keeps models on the node. Pods may mount its folder meanwhile."""
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("the folder of a node is looked into: it has to be this machine's")
    folder = CACHE / "run" / "node-models"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    system = Workspace(cluster, SYSTEM)
    system.shares(PACKAGES_CLAIM, runner_environment(ROOT / "runner" / "requirements.txt"))
    for namespace in (SYSTEM, workspace.namespace):
        _enforce(cluster, namespace, "privileged")
    served = Hub({REPOSITORY: Repository(files_of(ROOT / "models" / "tiny-shapes"))})
    patch = installation.pod_template_patch()
    values = tmp_path_factory.mktemp("chart") / "values.json"
    with serving(served, cluster.host_address()) as hub:
        (container,) = patch["spec"]["containers"]
        container["env"].append({"name": "HF_ENDPOINT", "value": hub.url})
        configured = installation.configured(
            values,
            modelCache={"kind": "hostPath", "path": str(folder), "size": "1Gi"},
            podTemplatePatch=patch,
        )
        with configured:
            yield Place(hub, folder)
            cluster.kubectl("delete", "vmodel", "--all", "--wait=false")
    for namespace in (SYSTEM, workspace.namespace):
        _enforce(cluster, namespace, "restricted")
    system.shares_no_more(PACKAGES_CLAIM)
    shutil.rmtree(folder)


def _enforce(cluster: OneNodeCluster, namespace: str, standard: str) -> None:
    label = f"pod-security.kubernetes.io/enforce={standard}"
    cluster.kubectl("label", "namespace", namespace, label, "--overwrite")


@pytest.fixture
def model(place: Place, installation: Installation) -> str:
    """One that is ready on the node."""
    name = f"on-nodes-{secrets.token_hex(3)}"
    apply(installation, a_model(name))
    is_ready(installation, name, COMMIT)
    return name


def nodes_of(installation: Installation, model: str) -> dict[str, bool]:
    """The nodes that the model's status names, and whether they have it."""
    nodes = the_model(installation, model)["status"].get("nodes", [])
    return {each["name"]: each["ready"] for each in nodes}


def test_a_model_comes_onto_the_node_once_and_videos_draw_with_it_there(
    place: Place, model: str, installation: Installation, workspace: Workspace
) -> None:
    assert nodes_of(installation, model) == {NODE: True}
    assert (place.model / WEIGHTS).is_file()
    listings = place.hub.listings
    names = [f"{model}-{number}" for number in (1, 2)]
    workspace.apply(*(a_manifest(name, modelId=model, seed=i) for i, name in enumerate(names)))
    for name in names:
        made = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
        assert made["phase"] == "Succeeded", made["message"]
        assert made["resolved"]["modelRevision"] == COMMIT
    assert len(place.hub.sent_of(WEIGHTS)) == 1
    assert place.hub.listings == listings, "a video's Job asks no hub"
    selector = f"textto.video/model-prefetch={model}"
    wait_until(
        lambda: (
            not json.loads(installation.kubectl("get", "jobs", "-l", selector, "-o", "json"))[
                "items"
            ]
        ),
        "what fetched it is gone",
        60,
    )


def test_a_node_that_comes_is_to_get_it_and_one_that_goes_is_named_no_more(
    model: str, installation: Installation
) -> None:
    """The newcomer has no kubelet, and no room for a pod either."""
    cluster = installation.cluster
    document = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NEWCOMER}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(document))
    try:
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps(ready))
        cluster.kubectl("patch", "node", NEWCOMER, *patch)
        wait_until(
            lambda: nodes_of(installation, model) == {NODE: True, NEWCOMER: False},
            "the newcomer is named",
            60,
        )
        conditions = the_model(installation, model)["status"]["conditions"]
        assert {each["type"]: each["status"] for each in conditions}["Ready"] == "True"
    finally:
        cluster.kubectl("delete", "node", NEWCOMER)
    wait_until(lambda: nodes_of(installation, model) == {NODE: True}, "it is named no more", 60)


def test_a_video_waits_on_its_node_for_a_model_that_is_still_to_come_there(
    place: Place, model: str, workspace: Workspace
) -> None:
    away = place.model.with_name("away")
    place.model.rename(away)
    try:
        name = f"{model}-waits"
        workspace.apply(a_manifest(name, modelId=model, seed=7))
        workspace.wait_for(
            name,
            lambda status: (status.get("progress") or {}).get("totalBytes") == 0,
            "waiting for the model on its node",
        )
    finally:
        away.rename(place.model)
    made = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
    assert made["phase"] == "Succeeded", made["message"]

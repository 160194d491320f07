"""VideoModels on a real cluster: fetched once from a hub, shared by videos, kept while used."""

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.layout import CACHE
from harness.one_node import OneNodeCluster
from harness.runner_environment import runner_environment
from harness.waiting import wait_until
from installation import (
    LONG,
    PACKAGES_CLAIM,
    ROOT,
    SYSTEM,
    Installation,
    Workspace,
    a_manifest,
)
from t2v_operator.config import load_config

from tests.runner.hub_server import COMMIT, OTHER_COMMIT, Hub, Repository, serving

Document = dict[str, Any]

CLAIM = "models"
REPOSITORY = "owner/shapes"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".json", ".safetensors") and path.parent.name != "__pycache__"
    }


@pytest.fixture(scope="module")
def hub(
    installation: Installation, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """A hub with tiny-shapes, and an operator that fetches from it into a cache of the node."""
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("one folder behind several claims needs a one-node cluster of the harness")
    cache = CACHE / "run" / "models"
    cache.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o777)
    system = Workspace(cluster, SYSTEM)
    for place in (system, workspace):
        place.shares(CLAIM, cache)
    system.shares(PACKAGES_CLAIM, runner_environment(ROOT / "runner" / "requirements.txt"))
    served = Hub({REPOSITORY: Repository(files_of(ROOT / "models" / "tiny-shapes"))})
    patch = installation.pod_template_patch()
    values = tmp_path_factory.mktemp("chart") / "values.json"
    with serving(served, cluster.host_address()) as hub:
        (container,) = patch["spec"]["containers"]
        container["env"].append({"name": "HF_ENDPOINT", "value": hub.url})
        configured = installation.configured(
            values,
            modelCache={"kind": "claim", "claimName": CLAIM},
            podTemplatePatch=patch,
        )
        with configured:
            yield hub
            cluster.kubectl("delete", "vmodel", "--all", "--wait=false")
    for place in (system, workspace):
        place.shares_no_more(CLAIM)
    system.shares_no_more(PACKAGES_CLAIM)
    shutil.rmtree(cache)


def a_model(name: str, **spec: Any) -> Document:
    profile = load_config(None).models[0].document()
    kept = {field: value for field, value in profile.items() if field not in ("id", "source")}
    source = {"hub": REPOSITORY, "revision": "main"}
    return {
        "apiVersion": "textto.video/v1alpha1",
        "kind": "VideoModel",
        "metadata": {"name": name},
        "spec": {**kept, "source": source, "prefetch": {}, **spec},
    }


def apply(installation: Installation, *models: Document) -> None:
    installation.cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(models))


def the_model(installation: Installation, name: str) -> Document:
    found: Document = json.loads(installation.cluster.kubectl("get", "vmodel", name, "-o", "json"))
    return found


def is_ready(installation: Installation, name: str, commit: str) -> Document:
    """The model's status once it is ready at this commit."""

    def reached() -> bool:
        status = the_model(installation, name).get("status", {})
        ready = {each["type"]: each["status"] for each in status.get("conditions", ())}.get("Ready")
        return ready == "True" and status["commit"] == commit

    wait_until(reached, f"{name} is ready at {commit[:12]}", 180)
    status: Document = the_model(installation, name)["status"]
    return status


def test_a_model_is_fetched_once_and_two_videos_that_waited_draw_with_it(
    hub: Hub, installation: Installation, workspace: Workspace
) -> None:
    model = f"shapes-{secrets.token_hex(3)}"
    hub.held[WEIGHTS] = 100_000
    apply(installation, a_model(model))
    names = [f"{model}-{number}" for number in (1, 2)]
    workspace.apply(*(a_manifest(name, modelId=model, seed=i) for i, name in enumerate(names)))
    for name in names:
        waits = workspace.wait_for(
            name,
            lambda s: any(each["reason"] == "ModelNotReady" for each in s.get("conditions", ())),
            "waiting for its model",
        )
        assert model in waits["message"]
    assert not workspace.children("jobs", names[0])
    hub.go_on.set()
    status = is_ready(installation, model, COMMIT)
    assert status["percent"] == 100
    for name in names:
        made = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
        assert made["phase"] == "Succeeded", made["message"]
        assert made["resolved"]["modelRevision"] == COMMIT
    assert len(hub.sent_of(WEIGHTS)) == 1, "one download for two videos"


def test_an_edited_revision_is_for_new_videos_and_a_deleted_model_waits_for_its_last_job(
    hub: Hub, installation: Installation, workspace: Workspace
) -> None:
    model = f"shapes-{secrets.token_hex(3)}"
    apply(installation, a_model(model))
    is_ready(installation, model, COMMIT)
    old, new = f"{model}-old", f"{model}-new"
    workspace.apply(a_manifest(old, modelId=model, **LONG))
    workspace.wait_for_phase(old, "Running")
    hub.repositories[REPOSITORY].commit = OTHER_COMMIT
    hub.repositories[REPOSITORY].revisions = ("main", "v2")
    apply(installation, a_model(model, source={"hub": REPOSITORY, "revision": "v2"}))
    is_ready(installation, model, OTHER_COMMIT)
    workspace.apply(a_manifest(new, modelId=model, numInferenceSteps=60))
    workspace.wait_for_phase(new, "Running")
    installation.cluster.kubectl("delete", "vmodel", model, "--wait=false")
    user = f"{workspace.namespace}/{new}"
    wait_until(
        lambda: user in the_model(installation, model)["status"]["message"],
        "who keeps the model is told",
        30,
    )
    for name, commit in ((old, COMMIT), (new, OTHER_COMMIT)):
        made = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
        assert (made["phase"], made["resolved"]["modelRevision"]) == ("Succeeded", commit)
    installation.cluster.kubectl("wait", "--for=delete", f"vmodel/{model}", "--timeout=30s")


def test_a_cache_that_somebody_emptied_is_filled_again_and_the_video_goes_on(
    hub: Hub, installation: Installation, workspace: Workspace
) -> None:
    repository = hub.repositories[REPOSITORY]
    source = {"hub": REPOSITORY, "revision": repository.commit}
    model = f"shapes-{secrets.token_hex(3)}"
    apply(installation, a_model(model, source=source))
    before = is_ready(installation, model, repository.commit)
    shutil.rmtree(CACHE / "run" / "models" / "models" / REPOSITORY.replace("/", "--"))
    video = f"{model}-video"
    workspace.apply(a_manifest(video, modelId=model, seed=1))
    workspace.wait_for(
        video,
        lambda s: any(each.get("reason") == "ModelNotInCache" for each in s.get("attempts", ())),
        "without its model",
    )
    made = workspace.wait_for_phase(video, "Succeeded", "Failed", seconds=300)
    assert (made["phase"], made["message"]) == ("Succeeded", made["message"])
    assert made["resolved"]["modelRevision"] == repository.commit
    after = is_ready(installation, model, repository.commit)
    assert after["missingTime"] > before["fetchedTime"]
    assert after["fetchedTime"] > after["missingTime"]
    assert after["fetchedBytes"] > 0
    events = installation.cluster.kubectl("describe", "vmodel", model)
    for reason in ("PrefetchStarted", "Fetched", "MissingInCache"):
        assert reason in events

"""One VideoModel down its way without a cluster: fetched by its Job, drawn with by a video's.

The kubelet's part is played here, the API server's by plain documents, the hub's by a local server.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from t2v_api.result import GenerationResult, read_outcome
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import CreateJob
from t2v_operator.core.job import Manifest
from t2v_operator.core.models.decide import decide_model
from t2v_operator.core.models.observe import observe_model
from t2v_operator.core.models.observed import ObservedModel

from tests.runner.hub_server import COMMIT, Hub, Repository, serving
from tests.unit.model_observations import (
    MODEL,
    a_config_on_nodes,
    a_config_with_a_cache,
    a_model_document,
    a_node,
    a_situation,
)
from tests.unit.observations import a_pod_document, an_observation, at, text

MODELS = Path(__file__).parents[2] / "models"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def ran(manifest: Manifest, cache: Path, hub: Hub) -> str:
    """Run the Job's container with `cache` in the place of its mount. Its termination message."""
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    log = cache.parent / f"{manifest['metadata']['name']}.log"
    environment = {each["name"]: each["value"] for each in container["env"]}
    environment |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(cache.parent / "scratch"),
        "HOME": str(cache.parent),
        "T2V_MODELS_CACHE": str(cache),
        "T2V_OUTPUT_DIR": str(cache.parent / "output"),
        "T2V_TERMINATION_LOG": str(log),
        "TMPDIR": str(cache.parent),
    }
    command = [sys.executable, *container["command"][1:]]
    ended = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return log.read_text()


def fetched(model: dict[str, Any], cache: Path, hub: Hub, **seen: Any) -> ObservedModel:
    """The VideoModel after its Job has run. `seen`: what else there is in the cluster."""
    first = decide_model(a_situation(model, **seen))
    (created,) = first.actions
    assert isinstance(created, CreateJob)
    message = ran(created.manifest, cache, hub)
    job = created.manifest
    since = {"lastTransitionTime": text(at(60))}
    job["metadata"] |= {"uid": "uid-of-the-job", "creationTimestamp": text(at(0))}
    job["status"] = {"conditions": [{"type": "Complete", "status": "True", **since}]}
    pod = a_pod_document(job_uid="uid-of-the-job", exit_code=0, message=message)
    status = decide_model(a_situation(model, jobs=[job], pods=[pod], **seen)).status
    assert status
    return observe_model(model | {"status": status.document()})


ON_A_NODE = {"config": a_config_on_nodes(), "nodes": [a_node("gpu-1")]}


@pytest.mark.parametrize(
    "seen", [{"config": a_config_with_a_cache()}, ON_A_NODE], ids=["one cache", "a node's own"]
)
def test_a_model_is_fetched_once_and_drawn_with_from_the_cache(
    tmp_path: Path, seen: dict[str, Any]
) -> None:
    files = {
        str(path.relative_to(MODELS / "tiny-shapes")): path.read_bytes()
        for path in (MODELS / "tiny-shapes").rglob("*")
        if path.suffix in (".json", ".safetensors")
    }
    cache = tmp_path / "cache"
    with serving(Hub({"owner/name": Repository(files)})) as hub:
        model = fetched(a_model_document(), cache, hub, **seen)
        assert model.profile
        assert model.profile.source.revision == COMMIT
        hub.sent.clear()
        listings = hub.listings
        observed = an_observation(
            spec={"modelId": MODEL, "numInferenceSteps": 2}, models={MODEL: model}
        )
        (created,) = decide(observed, seen["config"]).actions
        assert isinstance(created, CreateJob)
        record = read_outcome(ran(created.manifest, cache, hub))
    assert isinstance(record, GenerationResult)
    assert record.model_revision == COMMIT
    assert (hub.sent, hub.listings) == ([], listings), "a video's Job asks no hub"

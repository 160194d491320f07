"""One manifest down the operator's way without a cluster: resource, Job, runner, result, status.

The kubelet's part is played by `local`, the API server's by plain documents.
"""

from pathlib import Path
from typing import Any

from t2v_api.resource import Phase
from t2v_api.result import GenerationResult
from t2v_operator.cli.local import LocalMachine, Watcher, run_job
from t2v_operator.config import load_config
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import CreateJob
from t2v_operator.core.observe import observe_job, observe_pod, observe_resource
from t2v_operator.core.observed import Observed

from tests.unit.observations import at, text

MODELS = Path(__file__).parents[2] / "models"


def observed(document: dict[str, Any], **children: Any) -> Observed:
    seen = {"job": None, "earlier_jobs": (), "pods": ()}
    return Observed(resource=observe_resource(document), now=at(0), **(seen | children))


def test_one_manifest_goes_the_whole_way(tmp_path: Path) -> None:
    config = load_config(None)
    resource: dict[str, Any] = {
        "metadata": {"name": "red-circle", "namespace": "films", "uid": "uid-1", "generation": 1},
        "spec": {"modelId": "tiny-shapes", "prompt": "a $(red) circle", "numInferenceSteps": 2},
    }
    first = decide(observed(resource), config)
    (create,) = first.actions
    assert isinstance(create, CreateJob)
    assert first.status
    resource["status"] = first.status.document()

    silent = Watcher(progress=lambda _: None, log=lambda _: None)
    end = run_job(create.manifest, tmp_path / "out", LocalMachine(MODELS), silent)
    assert isinstance(end.outcome, GenerationResult), end.outcome

    job = create.manifest
    job["metadata"]["uid"] = "job-1"
    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    terminated = {
        "exitCode": end.exit_code,
        "reason": "Completed",
        "message": end.outcome.json_line(),
        "startedAt": text(at(2)),
        "finishedAt": text(at(9)),
    }
    pod = {
        "metadata": {
            "name": "red-circle-x",
            "creationTimestamp": text(at(0)),
            "ownerReferences": [{"kind": "Job", "uid": "job-1"}],
        },
        "status": {
            "phase": "Succeeded",
            "containerStatuses": [{"name": "runner", "state": {"terminated": terminated}}],
        },
    }
    last = decide(observed(resource, job=observe_job(job), pods=(observe_pod(pod),)), config)
    status = last.status
    assert status
    assert status.phase is Phase.SUCCEEDED
    assert status.resolved
    assert first.status.resolved
    how = {"execution": end.outcome.execution}
    assert status.resolved == first.status.resolved.model_copy(update=how)
    assert status.resolved
    assert status.resolved.prompt == "a $(red) circle"
    assert status.resolved.seed == end.outcome.seed
    assert status.video == end.outcome.video
    assert status.output_url
    assert status.output_url.startswith("http://videos.example.com/videos/films/")
    assert (tmp_path / "out" / "video.mp4").stat().st_size == status.video.bytes

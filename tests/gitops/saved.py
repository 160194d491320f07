"""Resources as the operator leaves them, and what GitOps tools have to make of each.

    python -m tests.gitops.saved    # writes the files that Argo CD's tests read; a test compares

The statuses are the operator's own, by its pure functions; nothing here is written by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from t2v_api.reasons import Reason
from t2v_api.resource import API_VERSION, KIND, TextToVideoJobStatus
from t2v_api.video_model import MODEL_KIND
from t2v_operator.core.decide import decide, refused
from t2v_operator.core.decision import Refusal
from t2v_operator.core.models.decide import decide_model
from t2v_operator.core.output_ttl import without_output

from tests.unit.builders import a_config, a_config_that_asks, a_config_with_kueue
from tests.unit.model_observations import (
    a_model_document,
    a_prefetch_job,
    a_situation,
    ended,
)
from tests.unit.observations import (
    START,
    a_failure,
    a_job_seen,
    a_pod,
    a_pod_of_a_lost_node,
    a_resource_document,
    a_status,
    a_workload,
    an_observation,
    queued,
    running,
    succeeded,
)

ARGO_CD = Path(__file__).parents[2] / "examples" / "gitops" / "argocd"
SCRIPTS = ARGO_CD / "resource_customizations" / "textto.video"
CONFIG_MAP = ARGO_CD / "argocd-cm.yaml"

Document = dict[str, Any]
HEAD = """\
# Argo CD's health of videos and models, for `kubectl apply --server-side -n argocd`, which leaves
# what else argocd-cm holds.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels:
    app.kubernetes.io/part-of: argocd
data:
"""
NOT_SEEN = "the operator has not looked at it yet"


@dataclass(frozen=True)
class Saved:
    """A resource and its health: in Argo CD's words, in Flux's, and by kstatus alone."""

    document: Document
    argo: str
    flux: str
    kstatus: str

    @property
    def message(self) -> str:
        """What Argo CD shows beside the health."""
        status = self.document.get("status", {})
        if status.get("observedGeneration") != self.document["metadata"]["generation"]:
            return NOT_SEEN
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        return f"{ready['reason']}: {ready['message']}"


PROGRESSING = ("Progressing", "InProgress", "InProgress")
HEALTHY = ("Healthy", "Current", "Current")
DEGRADED = ("Degraded", "Failed", "Failed")


def videos() -> dict[str, Saved]:
    """By the name of the file that Argo CD's test reads."""
    out_of_memory = a_failure(Reason.OUT_OF_MEMORY)
    failed = a_status(
        status=running(),
        job=a_job_seen(failed="PodFailurePolicy"),
        pods=(a_pod(exit_code=4, message=out_of_memory),),
    )
    unknown = {"modelId": "other"}
    kueue, queue = a_config_with_kueue(), {"queueName": "video"}
    in_kueue = a_status(
        kueue,
        spec=queue,
        status=a_status(kueue, spec=queue),
        job=a_job_seen(queue, config=kueue),
        workload=a_workload(waits="couldn't assign flavors: insufficient quota"),
    )
    lost = a_status(status=running(), job=a_job_seen(), pods=(a_pod_of_a_lost_node(),))
    cancelled = a_status(
        spec={"cancel": True}, status=running(), job=a_job_seen(), pods=(a_pod(running=True),)
    )
    return {
        "progressing_noStatus": Saved(_video(None), "Progressing", "InProgress", "Current"),
        "progressing_new": Saved(_document(a_resource_document(), KIND), *PROGRESSING),
        "progressing_edited": Saved(_video(succeeded(), generation=2), *PROGRESSING),
        "progressing_pending": Saved(_video(a_status(config=a_config_that_asks())), *PROGRESSING),
        "progressing_quotaExceeded": Saved(_video(_full_quota()), *PROGRESSING),
        "progressing_queued": Saved(_video(queued()), *PROGRESSING),
        "progressing_queuedByKueue": Saved(_video(in_kueue, queueName="video"), *PROGRESSING),
        "progressing_running": Saved(_video(running()), *PROGRESSING),
        "progressing_nodeLost": Saved(_video(lost), *PROGRESSING),
        "suspended": Saved(
            _video(a_status(spec={"suspend": True}), suspend=True),
            *("Suspended", "Current", "InProgress"),
        ),
        "healthy_succeeded": Saved(_video(succeeded()), *HEALTHY),
        "healthy_filesRemoved": Saved(
            _video(without_output(succeeded(), 5, "Flux", START)), *HEALTHY
        ),
        "degraded_failed": Saved(_video(failed), *DEGRADED),
        "degraded_cancelled": Saved(_video(cancelled, cancel=True), *DEGRADED),
        "degraded_refused": Saved(_video(a_status(spec=unknown), **unknown), *DEGRADED),
        "degraded_noSuchQueue": Saved(_video(a_status(spec=queue), **queue), *DEGRADED),
    }


def models() -> dict[str, Saved]:
    """As `videos`, of VideoModels."""
    without = _document(a_model_document(), MODEL_KIND)
    del without["status"]
    ready = _model(model=a_model_document(prefetch=None))
    failed = _model(jobs=[a_prefetch_job(conditions=ended("Failed", "BackoffLimitExceeded"))])
    return {
        "progressing_noStatus": Saved(without, "Progressing", "InProgress", "Current"),
        "progressing_new": Saved(_document(a_model_document(), MODEL_KIND), *PROGRESSING),
        "progressing_edited": Saved(_edited(ready), *PROGRESSING),
        "progressing_fetched": Saved(_model(), *PROGRESSING),
        "healthy_available": Saved(ready, *HEALTHY),
        "degraded_noModelCache": Saved(_model(config=a_config()), *DEGRADED),
        "degraded_prefetchFailed": Saved(failed, *DEGRADED),
    }


def all_saved() -> dict[str, dict[str, Saved]]:
    """By kind."""
    return {KIND: videos(), MODEL_KIND: models()}


def files() -> dict[Path, str]:
    """What Argo CD reads: each file with what it must hold."""
    written = {CONFIG_MAP: _config_map()}
    for kind, saved in all_saved().items():
        folder = SCRIPTS / kind
        tests = [
            {
                "healthStatus": {"status": each.argo, "message": each.message},
                "inputPath": f"testdata/{name}.yaml",
            }
            for name, each in saved.items()
        ]
        written[folder / "health_test.yaml"] = _yaml({"tests": tests})
        for name, each in saved.items():
            written[folder / "testdata" / f"{name}.yaml"] = _yaml(each.document)
    return written


def _config_map() -> str:
    """The scripts in Argo CD's own ConfigMap, as a patch for whoever has one already."""
    entries = [
        f"  resource.customizations.health.textto.video_{kind}: |\n"
        + "".join(f"    {line}".rstrip() + "\n" for line in _script(kind).splitlines())
        for kind in (KIND, MODEL_KIND)
    ]
    return HEAD + "".join(entries)


def _script(kind: str) -> str:
    return (SCRIPTS / kind / "health.lua").read_text()


def _video(status: TextToVideoJobStatus | None, generation: int = 1, **spec: Any) -> Document:
    seen = a_resource_document(spec, status, generation)
    document = _document(seen, KIND)
    if status is None:
        del document["status"]
    return document


def _model(**situation: Any) -> Document:
    status = decide_model(a_situation(**situation)).status
    assert status
    return _document(situation.get("model") or a_model_document(), MODEL_KIND, status.document())


def _edited(model: Document) -> Document:
    return {**model, "metadata": {**model["metadata"], "generation": 2}}


def _document(document: Mapping[str, Any], kind: str, status: Document | None = None) -> Document:
    seen = {"status": status} if status else {}
    return {"apiVersion": API_VERSION, "kind": kind, **document, **seen}


def _full_quota() -> TextToVideoJobStatus | None:
    observed = an_observation()
    decision = decide(observed, a_config())
    refusal = Refusal(decision.actions[0], "exceeded quota: small", is_final=True)
    return refused(observed, decision, refusal, a_config()).status


def _yaml(document: Document) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=100)


class _Plain(yaml.SafeDumper):
    """Without YAML's references to what was written before."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.name)

"""The chart's admission policies, and what the API server's own code makes of requests by them."""

import json
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from harness.commands import run
from harness.go_programs import go_program, module_folder

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "text-to-video-operator"
SYSTEM = "t2v-system"
OPERATOR = f"system:serviceaccount:{SYSTEM}:video"

Document = dict[str, Any]

PLURALS = {
    "Job": ("batch", "v1", "jobs"),
    "Pod": ("", "v1", "pods"),
    "Secret": ("", "v1", "secrets"),
    "TextToVideoJob": ("textto.video", "v1alpha1", "texttovideojobs"),
    "VideoModel": ("textto.video", "v1alpha1", "videomodels"),
}


def a_request(
    operation: str,
    new: Document | None,
    old: Document | None = None,
    user: str = OPERATOR,
    subresource: str = "",
) -> Document:
    """One to the API server about an object, in the form in which the judge reads it."""
    subject = new or old
    assert subject
    group, version, resource = PLURALS[subject["kind"]]
    return {
        "user": user,
        "operation": operation,
        "group": group,
        "version": version,
        "resource": resource,
        "subresource": subresource,
        "namespace": subject["metadata"].get("namespace", ""),
        "object": new,
        "oldObject": old,
    }


def judged(requests: list[Document], **values: Any) -> list[list[str]]:
    """Of each request, the messages that refuse it, where the chart has these values."""
    program = go_program("admission-judge")
    answer = subprocess.run(
        [program, rendered(**values)], input=json.dumps(requests), text=True, capture_output=True
    )
    assert answer.returncode == 0, answer.stderr
    answers: list[list[str]] = json.loads(answer.stdout)
    return answers


def warnings(policies: Path) -> list[str]:
    """What the API server would warn of in a file of policies, by the types of Jobs and pods."""
    specs = module_folder("kubernetes", "k8s.io/kubernetes") / "api/openapi-spec/v3"
    files = [specs / f"{name}_openapi.json" for name in ("api__v1", "apis__batch__v1")]
    found: list[str] = json.loads(run([go_program("admission-judge"), policies, *files]))
    return found


def rendered(**values: Any) -> Path:
    """The file of the chart's policies and bindings, where it has these values."""
    return _rendered(json.dumps(values, sort_keys=True))


@cache
def _rendered(values: str) -> Path:
    folder = Path(mkdtemp(prefix="t2v-policies-"))
    given, made = folder / "values.json", folder / "policies.yaml"
    given.write_text(values)
    template = "templates/admission-policy.yaml"
    helm = [go_program("helm"), "template", "video", CHART, "--namespace", SYSTEM]
    made.write_text(run([*helm, "--values", given, "--show-only", template]))
    return made

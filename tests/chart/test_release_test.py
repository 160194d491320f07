"""`helm test`: what it asks, says and may do. tests/cluster runs it on a cluster."""

import json
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.api_server import serving
from tests.chart.test_chart import CHART, Documents, Helm, helm, rendered

__all__ = ("helm",)

main = runpy.run_path(str(CHART / "files" / "release_test.py"))["main"]


class A:
    """A cluster: whether its operator is ready, and what its API server answers to a resource."""

    def __init__(self, *, ready: int = 200, without_prompt: int = 422, with_prompt: int = 201):
        self.ready = ready
        self.answers = {False: without_prompt, True: with_prompt}
        self.asked: list[tuple[str, str]] = []

    @contextmanager
    def serves(self) -> Iterator[str]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(cluster.ready, b"t2v_leader 1.0")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                cluster.asked.append((self.path, self.headers["Authorization"]))
                self._answer(cluster.answers["prompt" in body["spec"]], b"because")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        with serving(Handler) as address:
            yield address


def outcome_of(cluster: A, folder: Path) -> int:
    (folder / "token").write_text("the-token\n")
    with cluster.serves() as address:
        status: int = main(
            {
                "OPERATOR": address,
                "API": address,
                "ACCOUNT": str(folder),
                "NAMESPACE": "t2v-system",
                "MODEL": "tiny-shapes",
                "SECONDS": "0",
            }
        )
    return status


def test_a_working_release_passes_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = A()
    assert outcome_of(cluster, tmp_path) == 0
    path = "/apis/textto.video/v1alpha1/namespaces/t2v-system/texttovideojobs?dryRun=All"
    assert set(cluster.asked) == {(path, "Bearer the-token")}
    assert "FAILED" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (A(ready=503), "FAILED: the operator is ready: HTTP Error 503"),
        (A(with_prompt=404), "FAILED: a video would be admitted: 404 because"),
        (A(with_prompt=422), "FAILED: a video would be admitted: no"),
        (A(without_prompt=201), "FAILED: one without a prompt would not: no"),
    ],
    ids=["not ready", "no CRD", "another CRD", "a CRD without rules"],
)
def test_what_does_not_hold_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cluster: A, said: str
) -> None:
    assert outcome_of(cluster, tmp_path) == 1
    assert said in capsys.readouterr().out


def hooks(helm: Helm, *words: str) -> Documents:
    template = ("template", "video", CHART, "--namespace", "t2v-system")
    text = helm(*template, "--show-only", "templates/tests/release.yaml", *words)
    documents = [each for each in yaml.safe_load_all(text) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def test_it_may_make_videos_in_its_namespace_and_nothing_else(helm: Helm) -> None:
    made = hooks(helm)
    kinds = {"ServiceAccount", "Service", "Role", "RoleBinding", "Pod"}
    assert set(made) == {(kind, "video-test") for kind in kinds}
    (rule,) = made["Role", "video-test"]["rules"]
    assert (rule["resources"], rule["verbs"]) == (["texttovideojobs"], ["create"])
    for each in made.values():
        annotations = each["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "test"
        assert "hook-succeeded" in annotations["helm.sh/hook-delete-policy"]
    context = made["Pod", "video-test"]["spec"]["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    without = hooks(helm, "--set", "rbac.create=false")
    assert not {kind for kind, _ in without} & {"Role", "RoleBinding"}


def test_no_service_takes_it_for_a_part(helm: Helm) -> None:
    pod = hooks(helm)["Pod", "video-test"]["metadata"]["labels"]
    gateway = "gateway.enabled=true,config.apiKeys.enabled=true"
    for (kind, name), each in rendered(helm, "--set", gateway).items():
        if kind == "Service":
            assert not each["spec"]["selector"].items() <= pod.items(), name


def test_what_it_runs_is_the_file(helm: Helm) -> None:
    (container,) = hooks(helm)["Pod", "video-test"]["spec"]["containers"]
    (script,) = container["args"]
    assert script.strip() == (CHART / "files" / "release_test.py").read_text().strip()
    assert "$(" not in script, "the kubelet would replace it"

"""An API server of a few lines: what helm asks before it installs. It changes nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

Document = dict[str, Any]

PLURALS = {
    "v1": ("ConfigMap", "Service", "ServiceAccount", "Secret", "Namespace", "Pod"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "policy/v1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    "admissionregistration.k8s.io/v1": (
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ),
    "apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
}
"""The kinds that it knows, of each apiVersion."""

IN_NO_NAMESPACE = ("Cluster", "CustomResource", "Validating", "Namespace")


def _plural(kind: str) -> str:
    return f"{kind.lower().removesuffix('y')}ies" if kind.endswith("y") else f"{kind.lower()}s"


def _resources(api_version: str) -> Document:
    return {
        "kind": "APIResourceList",
        "groupVersion": api_version,
        "resources": [
            {
                "name": _plural(kind),
                "kind": kind,
                "namespaced": not kind.startswith(IN_NO_NAMESPACE),
                "verbs": ["get", "list", "create", "patch"],
            }
            for kind in PLURALS[api_version]
        ],
    }


def _groups() -> Document:
    groups = [
        {
            "name": api_version.split("/")[0],
            "versions": [{"groupVersion": api_version, "version": "v1"}],
        }
        for api_version in PLURALS
        if "/" in api_version
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _answers(crds: list[Document]) -> dict[str, Document]:
    of_a_crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    return {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.4"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": _groups(),
        "/api/v1": _resources("v1"),
        **{f"/apis/{version}": _resources(version) for version in PLURALS if "/" in version},
        **{f"{of_a_crd}/{each['metadata']['name']}": each for each in crds},
    }


@contextmanager
def api_server(crds: list[Document], folder: Path) -> Iterator[Path]:
    """A kubeconfig for a cluster that has these CRDs and nothing else."""
    answers = _answers(crds)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            not_found = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}
            found = answers.get(path, {**not_found, "reason": "NotFound", "message": path})
            body = json.dumps(found).encode()
            self.send_response(200 if path in answers else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler) as address:
        yield _kubeconfig(folder, address)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server on this machine that answers by `handler` until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _kubeconfig(folder: Path, address: str) -> Path:
    file = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(yaml.safe_dump(document))
    return file

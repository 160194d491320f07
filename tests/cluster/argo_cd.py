"""Real Argo CD beside a cluster: its application controller and repo server on this machine.

They pull from a Git repository that the tests serve. It knows nothing about the operator.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from git_server import GitRepository
from harness.argo_cd import (
    CONTROLLER,
    MODULE,
    NAMESPACE,
    REDIS,
    REPO_SERVER,
    application_controller,
    redis,
    repo_server,
)
from harness.go_programs import module_folder
from harness.layout import RUN
from harness.one_node import OneNodeCluster
from harness.stopwatch import step
from harness.waiting import wait_until

from crds import apply_crds, delete_crds

Document = dict[str, Any]

_PROGRAMS = {REDIS: redis, REPO_SERVER: repo_server, CONTROLLER: application_controller}


@dataclass(frozen=True)
class ArgoCD:
    """Argo CD, with one Git repository."""

    cluster: OneNodeCluster
    repository: GitRepository

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", NAMESPACE, *words, stdin=stdin)

    def apply(self, *documents: Document) -> None:
        self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def status(self, name: str) -> Document:
        """Of an Application; empty before there is one."""
        found = json.loads(self.kubectl("get", "application", name, "-o", "json"))
        return dict(found.get("status", {}))

    def health(self, name: str, commit: str) -> str:
        """As Argo CD shows it; empty before it has synced and compared the commit."""
        status = self.status(name)
        sync = status.get("sync", {})
        is_synced = (sync.get("status"), sync.get("revision")) == ("Synced", commit)
        return str(status.get("health", {}).get("status", "")) if is_synced else ""

    def wait_for_health(self, name: str, health: str, commit: str, seconds: float = 90) -> None:
        """Once the commit is applied, nothing differs from it, and this is its health."""
        self.wait(
            lambda: self.health(name, commit) == health,
            f"{name} is {health} with {commit}",
            seconds,
        )

    def wait(self, holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
        try:
            wait_until(holds, what, seconds, every_seconds=0.5)
        except Exception as error:
            error.add_note(self.kubectl("get", "applications", "-o", "yaml")[-6000:])
            for program in _PROGRAMS:
                error.add_note(self.cluster.daemons.log(program).read_text()[-2000:])
            raise

    def remove(self, name: str) -> None:
        """The Application, and with it what it applied."""
        self.kubectl("delete", "application", name, "--timeout=60s")


@contextmanager
def argo_cd(
    cluster: OneNodeCluster, repository: GitRepository, settings: Document
) -> Iterator[ArgoCD]:
    """Argo CD with these settings (`argocd-cm`) until the block ends.

    Its Applications go before it, with what they applied.
    """
    installed = ArgoCD(cluster, repository)
    with step("start Argo CD"):
        apply_crds(cluster, _crd_files())
        cluster.kubectl("create", "namespace", NAMESPACE)
        installed.apply(settings, *_what_it_wants())
        for name, command in _PROGRAMS.items():
            cluster.daemons.stop(name)
            cluster.start_beside(name, command(RUN))
    try:
        yield installed
    finally:
        installed.kubectl("delete", "applications", "--all", "--timeout=60s")
        for name in reversed(_PROGRAMS):
            cluster.daemons.stop(name)
        cluster.kubectl("delete", "namespace", NAMESPACE)
        delete_crds(cluster, _crd_files())


def an_application(
    example: Document, repository: GitRepository, name: str, namespace: str
) -> Document:
    """The example: for the folder of its name, in the tests' namespace."""
    spec = example["spec"]
    return {
        **example,
        "metadata": {
            **example["metadata"],
            "name": name,
            # It takes with it what it applied.
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            **spec,
            "source": {**spec["source"], "repoURL": repository.url, "path": name},
            "destination": {**spec["destination"], "namespace": namespace},
        },
    }


def _crd_files() -> list[Path]:
    folder = module_folder("argo", MODULE) / "manifests" / "crds"
    kinds = ("application", "appproject", "applicationset")
    return [folder / f"{kind}-crd.yaml" for kind in kinds]


def _what_it_wants() -> list[Document]:
    """What its own manifests make besides `argocd-cm`: a key, and the project of everything."""
    of_argo = {"app.kubernetes.io/part-of": "argocd"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "argocd-secret", "labels": of_argo},
            "stringData": {"server.secretkey": "of-the-tests"},
        },
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "default"},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"namespace": "*", "server": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        },
    ]

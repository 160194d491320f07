"""Real Flux beside a cluster: its source-controller and kustomize-controller on this machine.

They pull from a Git repository that the tests serve. It knows nothing about the operator.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from git_server import BRANCH, GitRepository
from harness.components import (
    KUSTOMIZE_CONTROLLER,
    SOURCE_CONTROLLER,
    kustomize_controller,
    source_controller,
)
from harness.go_programs import module_folder
from harness.layout import RUN
from harness.one_node import OneNodeCluster
from harness.stopwatch import step
from harness.waiting import wait_until

from crds import apply_crds, delete_crds

Document = dict[str, Any]

SYSTEM = "flux-system"
SOURCE = "videos"
_PROGRAMS = {SOURCE_CONTROLLER: source_controller, KUSTOMIZE_CONTROLLER: kustomize_controller}


@dataclass(frozen=True)
class Flux:
    """Flux, with one GitRepository."""

    cluster: OneNodeCluster
    repository: GitRepository

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", SYSTEM, *words, stdin=stdin)

    def apply(self, *documents: Document) -> None:
        self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def ready(self, name: str) -> Document:
        """The Ready condition of a Kustomization; empty before there is one."""
        found = json.loads(self.kubectl("get", "kustomization", name, "-o", "json"))
        conditions = found.get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == "Ready"), {})

    def applied_revision(self, name: str) -> str:
        """The commit that was applied and found healthy last."""
        path = "jsonpath={.status.lastAppliedRevision}"
        return self.kubectl("get", "kustomization", name, "-o", path).rpartition(":")[2]

    def wait_until_ready(self, name: str, commit: str, seconds: float = 90) -> Document:
        """Once the commit was applied and what it holds is there."""
        self._wait(
            lambda: (
                self.ready(name).get("status") == "True" and self.applied_revision(name) == commit
            ),
            f"{name} is ready with {commit}",
            name,
            seconds,
        )
        return self.ready(name)

    def wait_until_not_ready(self, name: str, words: str, seconds: float = 90) -> Document:
        """Once it has given up, with these words in its message."""

        def given_up() -> bool:
            ready = self.ready(name)
            return ready.get("status") == "False" and words in ready["message"]

        self._wait(given_up, f"{name} says {words!r}", name, seconds)
        return self.ready(name)

    def times_reconciled(self, name: str) -> int:
        """How often it was, since the controller started."""
        log = self.cluster.daemons.log(KUSTOMIZE_CONTROLLER).read_text()
        return sum(
            "Reconciliation finished" in line and f'"name":"{name}"' in line
            for line in log.splitlines()
        )

    def remove(self, name: str) -> None:
        """The Kustomization, and with it what it applied."""
        self.kubectl("delete", "kustomization", name, "--timeout=60s")

    def _wait(self, holds: Callable[[], bool], what: str, name: str, seconds: float) -> None:
        try:
            wait_until(holds, what, seconds, every_seconds=0.5)
        except Exception as error:
            error.add_note(self.kubectl("describe", "kustomization", name)[-3000:])
            for program in _PROGRAMS:
                error.add_note(self.cluster.daemons.log(program).read_text()[-2000:])
            raise


@contextmanager
def flux(cluster: OneNodeCluster, repository: GitRepository) -> Iterator[Flux]:
    """Flux until the block ends; its Kustomizations go before it, with what they applied."""
    installed = Flux(cluster, repository)
    with step("start Flux"):
        apply_crds(cluster, _crd_files())
        _namespace(cluster)
        for name, command in _PROGRAMS.items():
            cluster.daemons.stop(name)
            cluster.start_beside(name, command(RUN))
        installed.apply(_source(repository))
    try:
        yield installed
    finally:
        installed.kubectl("delete", "kustomizations", "--all", "--timeout=60s")
        installed.kubectl("delete", "gitrepositories", "--all", "--timeout=60s")
        for name in _PROGRAMS:
            cluster.daemons.stop(name)
        delete_crds(cluster, _crd_files())
        cluster.kubectl("delete", "namespace", SYSTEM)


def a_kustomization(example: Document, name: str, namespace: str, **spec: Any) -> Document:
    """The example, in a hurry: for the folder of its name, in the tests' namespace."""
    hurry = {"interval": "10s", "retryInterval": "5s", "timeout": "3m"}
    return {
        **example,
        "metadata": {**example["metadata"], "name": name},
        "spec": {
            **example["spec"],
            **hurry,
            "path": f"./{name}",
            "targetNamespace": namespace,
            **spec,
        },
    }


def documents(files: Mapping[str, Document | None]) -> dict[str, str | None]:
    """As a commit takes them."""
    return {
        name: yaml.safe_dump(document) if document else None for name, document in files.items()
    }


def _source(repository: GitRepository) -> Document:
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": SOURCE, "namespace": SYSTEM},
        "spec": {"interval": "2s", "url": repository.url, "ref": {"branch": BRANCH}},
    }


def _crd_files() -> list[Path]:
    modules = ("github.com/fluxcd/source-controller", "github.com/fluxcd/kustomize-controller")
    return [module_folder("flux", module) / "config" / "crd" / "bases" for module in modules]


def _namespace(cluster: OneNodeCluster) -> None:
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(document))

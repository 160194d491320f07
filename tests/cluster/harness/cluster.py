"""What the tests can ask of any cluster, whichever way it came about."""

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.commands import Words, run
from harness.errors import HarnessError
from harness.go_programs import go_program
from harness.waiting import wait_until

GPU_RESOURCE = "nvidia.com/gpu"
# Label, annotation and taint of a node that `simulated_nodes` made.
SIMULATED_NODE = "simulated.textto.video/node"


class Cluster(ABC):
    """A running Kubernetes. `kubeconfig` and `context` say how to reach it."""

    kubeconfig: Path
    context: str
    shares_files = False
    """Whether its node sees this machine's files, so that a pod may mount them."""

    @abstractmethod
    def up(self) -> None:
        """Start it, or find it running. Nothing changes for one that is healthy."""

    @abstractmethod
    def down(self) -> None:
        """Stop what `up` started, and only that."""

    @abstractmethod
    def is_up(self) -> bool:
        """Whether it runs and answers."""

    @abstractmethod
    def build_image(
        self,
        dockerfile: Path,
        tag: str,
        build_args: Mapping[str, str] | None = None,
        context: Path | None = None,
        target: str | None = None,
    ) -> str:
        """Build and return `tag`. The context is the Dockerfile's folder unless given; `target`
        is the stage to stop at.

        Where no image registry is reachable, the build argument BASE is a local Debian with Python.
        """

    @abstractmethod
    def load_image(self, tag: str) -> None:
        """Give the built image to the nodes; pods use it with `imagePullPolicy: Never`."""

    @abstractmethod
    def host_address(self) -> str:
        """An address of this machine that tests and pods both reach."""

    def kubectl(
        self, *words: str | Path, stdin: str | None = None, timeout_seconds: float = 120
    ) -> str:
        """Run kubectl and return what it printed. Raises CommandError."""
        target: Words = ["--kubeconfig", self.kubeconfig, "--context", self.context]
        command = [_program("kubectl"), *target, *words]
        return run(command, stdin=stdin, timeout_seconds=timeout_seconds)

    def helm(self, *words: str | Path, timeout_seconds: float = 300) -> str:
        """Run helm and return what it printed. Raises CommandError."""
        target: Words = ["--kubeconfig", self.kubeconfig, "--kube-context", self.context]
        return run([_program("helm"), *target, *words], timeout_seconds=timeout_seconds)

    def set_gpus(self, count: int) -> None:
        """Let every real node have `count` GPUs that do not exist.

        "Advertise Extended Resources for a Node" in the Kubernetes documentation.
        """
        amount = {GPU_RESOURCE: str(count)}
        patch = json.dumps({"status": {"capacity": amount, "allocatable": amount}})
        for node in self._nodes():
            name = str(node["metadata"]["name"])
            self.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", patch)
        wait_until(lambda: self._gpus() == {str(count)}, f"nodes offer {count} {GPU_RESOURCE}", 30)

    def _gpus(self) -> set[str]:
        return {node["status"]["allocatable"].get(GPU_RESOURCE, "0") for node in self._nodes()}

    def _nodes(self) -> list[dict[str, Any]]:
        listed = self.kubectl("get", "nodes", "-l", f"!{SIMULATED_NODE}", "-o", "json")
        nodes: list[dict[str, Any]] = json.loads(listed)["items"]
        if not nodes:
            raise HarnessError("the cluster has no node")
        return nodes


def _program(name: str) -> Path:
    """Prefer the pinned build over the machine's own, when this user can build."""
    own = shutil.which(name)
    if own is not None and os.environ.get("T2V_TEST_CONTEXT"):
        return Path(own)
    return go_program(name)

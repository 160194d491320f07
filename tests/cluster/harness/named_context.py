"""A cluster that somebody else runs, named by T2V_TEST_CONTEXT."""

import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from harness.cluster import Cluster
from harness.commands import Words, run
from harness.errors import ClusterUnavailableError, HarnessError


class NamedContextCluster(Cluster):
    """Used as it is: never started, never stopped.

    T2V_TEST_LOAD_IMAGE is the command that gives it an image, such as `minikube image load`;
    T2V_TEST_HOST_ADDRESS the address at which its pods reach this machine.
    """

    def __init__(self, context: str) -> None:
        self.context = context
        first = os.environ.get("KUBECONFIG", "").partition(os.pathsep)[0]
        self.kubeconfig = Path(first) if first else Path.home() / ".kube" / "config"

    def up(self) -> None:
        if not self.is_up():
            raise ClusterUnavailableError(f"the context {self.context} does not answer")

    def down(self) -> None:
        """Nothing: it was running before."""

    def is_up(self) -> bool:
        with suppress(HarnessError):
            self.kubectl("get", "--raw", "/readyz", "--request-timeout=10s")
            return True
        return False

    def build_image(
        self,
        dockerfile: Path,
        tag: str,
        build_args: Mapping[str, str] | None = None,
        context: Path | None = None,
        target: str | None = None,
    ) -> str:
        arguments = [f"--build-arg={name}={value}" for name, value in (build_args or {}).items()]
        stage = [f"--target={target}"] if target else []
        where: Words = [*stage, "--file", dockerfile, "--tag", tag, context or dockerfile.parent]
        run(["docker", "build", *arguments, *where], timeout_seconds=3600)
        return tag

    def load_image(self, tag: str) -> None:
        run([*shlex.split(_demand("T2V_TEST_LOAD_IMAGE")), tag], timeout_seconds=1800)

    def host_address(self) -> str:
        return _demand("T2V_TEST_HOST_ADDRESS")


def _demand(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ClusterUnavailableError(f"with T2V_TEST_CONTEXT this test needs {variable} as well")
    return value

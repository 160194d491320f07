"""A cluster that kind runs in docker."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from harness.cluster import Cluster
from harness.commands import Words, run
from harness.errors import HarnessError
from harness.layout import CACHE, locked
from harness.stopwatch import step

NAME = "t2v-test"


class KindCluster(Cluster):
    """One kind cluster of a name of our own, with a kubeconfig of its own."""

    kubeconfig = CACHE / "kind-kubeconfig"
    context = f"kind-{NAME}"

    def up(self) -> None:
        with locked():
            if self.is_up():
                return
            self._delete()
            with step("create the kind cluster"):
                where: Words = ["--name", NAME, "--kubeconfig", self.kubeconfig]
                run(["kind", "create", "cluster", *where, "--wait", "120s"], timeout_seconds=900)
            self.set_gpus(2)

    def down(self) -> None:
        with locked(), step("delete the kind cluster"):
            self._delete()

    def is_up(self) -> bool:
        with suppress(HarnessError):
            self.kubectl("get", "--raw", "/readyz", "--request-timeout=5s")
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
        with step(f"build image {tag}"):
            run(["docker", "build", *arguments, *where], timeout_seconds=3600)
        return tag

    def load_image(self, tag: str) -> None:
        with step(f"load image {tag}"):
            run(["kind", "load", "docker-image", "--name", NAME, tag], timeout_seconds=1800)

    def host_address(self) -> str:
        """The gateway of kind's docker network: this machine, as the nodes see it."""
        network = json.loads(run(["docker", "network", "inspect", "kind"]))[0]
        gateways = [entry.get("Gateway", "") for entry in network["IPAM"]["Config"]]
        return next(str(gateway) for gateway in gateways if "." in gateway)

    def _delete(self) -> None:
        run(["kind", "delete", "cluster", "--name", NAME, "--kubeconfig", self.kubeconfig])

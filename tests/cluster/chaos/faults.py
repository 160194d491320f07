"""How each part goes, and how it comes back. Only what the harness started ever goes.

All of them are told to come back once more at the end, so that does nothing where it is there.
"""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random

from harness.network import cut_pods_off, join_pods
from harness.one_node import OneNodeCluster
from installation import RELEASE, SYSTEM, Document, Installation, Workspace
from t2v_operator.core.names import JOB_LABEL, RESOURCE_ANNOTATION

from chaos.schedule import Kind
from chaos.videos import MADE

WELL_SECONDS = 400
"""A container that ended often is started again after five minutes at last."""
AT_ONCE = ("--force", "--grace-period=0")


class Fault(ABC):
    """Something that goes and comes back."""

    @abstractmethod
    def kill(self) -> str:
        """Have it go; the answer says what went, where that is not always the same."""

    def bring_back(self) -> None:
        """Have it come; Kubernetes does so by itself where nothing is said here."""
        return

    def wait_until_well(self) -> None:
        """Until it does its work again, where that takes a while."""
        return


@dataclass(frozen=True)
class Replicas(Fault):
    """All pods of a Deployment or StatefulSet, without a goodbye."""

    installation: Installation
    workload: str
    """Such as deployment/NAME."""
    label: str
    """The value of the label app.kubernetes.io/name."""
    replicas: int

    def kill(self) -> str:
        self._scale(0)
        selector = f"app.kubernetes.io/name={self.label}"
        self.installation.kubectl("delete", "pod", "-l", selector, *AT_ONCE)
        return ""

    def bring_back(self) -> None:
        self._scale(self.replicas)

    def wait_until_well(self) -> None:
        words = ("-n", SYSTEM, "rollout", "status", self.workload)
        self.installation.cluster.kubectl(
            *words, f"--timeout={WELL_SECONDS}s", timeout_seconds=WELL_SECONDS + 20
        )

    def _scale(self, replicas: int) -> None:
        self.installation.kubectl("scale", self.workload, f"--replicas={replicas}")


@dataclass(frozen=True)
class Leader(Fault):
    """The pod that leads, without a goodbye. Its Deployment makes another."""

    installation: Installation

    def kill(self) -> str:
        leader = self.installation.leader()
        if not leader:
            return "nobody led"
        self.installation.kubectl("delete", "pod", leader, "--ignore-not-found", *AT_ONCE)
        return leader


@dataclass(frozen=True)
class Program(Fault):
    """One of the cluster's own programs."""

    cluster: OneNodeCluster
    name: str

    def kill(self) -> str:
        self.cluster.stop_program(self.name)
        return ""

    def bring_back(self) -> None:
        self.cluster.start_program(self.name)


@dataclass(frozen=True)
class PodNetwork(Fault):
    """What carries packets between pods and the node."""

    def kill(self) -> str:
        cut_pods_off()
        return ""

    def bring_back(self) -> None:
        join_pods()


@dataclass(frozen=True)
class RunnerPod(Fault):
    """One of the pods that make a video just now: evicted, deleted, or killed."""

    workspace: Workspace
    random: Random

    def kill(self) -> str:
        pods = sorted(self._running(), key=lambda pod: str(pod["metadata"]["name"]))
        if not pods:
            return "none ran"
        pod = self.random.choice(pods)
        name, how = pod["metadata"]["name"], self._how(pod)
        if how == "evicted":
            self._evict(name)
        else:
            grace = ("--grace-period=1",) if how == "killed" else ()
            words = ("delete", "pod", name, "--wait=false", "--ignore-not-found")
            self.workspace.kubectl(*words, *grace)
        return f"{name}, {how}"

    def _running(self) -> list[Document]:
        listed = self.workspace.kubectl("get", "pods", "-l", JOB_LABEL, "-o", "json")
        return [
            pod
            for pod in json.loads(listed)["items"]
            if pod["status"].get("phase") == "Running"
            and "deletionTimestamp" not in pod["metadata"]
        ]

    def _how(self, pod: Document) -> str:
        """All but an eviction counts against the backoffLimit, which others have left as it is."""
        resource = pod["metadata"]["annotations"][RESOURCE_ANNOTATION]
        ours = resource.startswith(MADE)
        return self.random.choice(("evicted", "deleted", "killed")) if ours else "evicted"

    def _evict(self, name: str) -> None:
        namespace = self.workspace.namespace
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
        self.workspace.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def all_faults(installation: Installation, workspace: Workspace, seed: int) -> dict[Kind, Fault]:
    """Those of the schedule. What the others need to come back, comes back first."""
    cluster = installation.cluster
    assert isinstance(cluster, OneNodeCluster)

    def replicas(workload: str, label: str, count: int) -> Replicas:
        return Replicas(installation, workload, f"text-to-video-{label}", count)

    return {
        Kind.POD_NETWORK: PodNetwork(),
        Kind.API_SERVER: Program(cluster, "kube-apiserver"),
        Kind.SERVICE_NETWORK: Program(cluster, "kube-proxy"),
        Kind.STORE: replicas(f"statefulset/{RELEASE}-store", "store", 1),
        Kind.OPERATOR: replicas(f"deployment/{RELEASE}", "operator", 2),
        Kind.GATEWAY: replicas(f"deployment/{RELEASE}-gateway", "gateway", 2),
        Kind.LEADER: Leader(installation),
        Kind.RUNNER_POD: RunnerPod(workspace, Random(f"pods {seed}")),
    }

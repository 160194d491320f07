"""Real Kueue in a cluster: its own program and chart, and queues for videos.

Only namespaces that `manage` prepared have anything to do with it: elsewhere Jobs are made as
ever, also while Kueue is down. It knows nothing about the operator.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from harness.cluster import GPU_RESOURCE, Cluster
from harness.errors import CommandError
from harness.go_programs import go_program, module_folder
from harness.layout import CACHE
from harness.stopwatch import step
from harness.waiting import wait_until

Document = dict[str, Any]

QUEUE = "video"
"""The ClusterQueue, and each managed namespace's LocalQueue."""
BATCH, URGENT = "batch", "urgent"
"""WorkloadPriorityClasses: a Job of the second preempts one of the first."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
MANAGED = {"kueue-managed": "true"}

SYSTEM = "kueue-system"
RELEASE = "kueue"
_DEPLOYMENT = "kueue-controller-manager"
_SELECTOR = "control-plane=controller-manager"
_IMAGE = "localhost/kueue:test"
_DOCKERFILE = 'FROM scratch\nCOPY kueue /manager\nUSER 65532\nENTRYPOINT ["/manager"]\n'
# Where nothing but an attempt is ever made.
_PROBED = "kueue-probe"
_API = "kueue.x-k8s.io/v1beta2"

_CONFIGURATION: Document = {
    "apiVersion": "config.kueue.x-k8s.io/v1beta2",
    "kind": "Configuration",
    "health": {"healthProbeBindAddress": ":8081"},
    "metrics": {"bindAddress": ":8443"},
    "webhook": {"port": 9443},
    "leaderElection": {"leaderElect": False},
    "clientConnection": {"qps": 300, "burst": 500},
    # The chart makes it the webhooks' namespaceSelector as well.
    "managedJobsNamespaceSelector": {"matchLabels": MANAGED},
    "integrations": {"frameworks": ["batch/job"]},
}


@dataclass(frozen=True)
class KueueInstallation:
    """Kueue in its namespace, with one queue.

    `visibility`: its aggregated API, where `positionInLocalQueue` can be read. While it is there
    and Kueue is not, every namespace that is deleted stays Terminating.
    """

    cluster: Cluster
    visibility: bool = False

    def install(self, gpus: int = 1) -> None:
        """Build and load the image, install the chart, make a queue with a quota of `gpus`."""
        _build_image(self.cluster)
        self.cluster.load_image(_IMAGE)
        with step("install Kueue"), tempfile.TemporaryDirectory() as scratch:
            values = Path(scratch) / "values.json"
            values.write_text(json.dumps(self._values()))
            chart = module_folder("kueue", "sigs.k8s.io/kueue") / "charts" / "kueue"
            self.cluster.helm(
                *("upgrade", "--install", RELEASE, chart, "--namespace", SYSTEM),
                *("--create-namespace", "--values", values, "--wait", "--timeout", "3m"),
            )
            if not self.visibility:
                self._remove_visibility()
            self._apply(_namespace(_PROBED))
            self._wait_for_webhooks()
            self._apply(*_queues(gpus))

    def uninstall(self) -> None:
        """Remove it with its queues, and the Jobs in them: its finalizers need it to the last."""
        self.start()
        with step("uninstall Kueue"):
            self.cluster.kubectl("delete", "jobs", "-A", "-l", QUEUE_LABEL)
            for kind in ("workloads", "localqueues"):
                self.cluster.kubectl("delete", f"{kind}.kueue.x-k8s.io", "-A", "--all")
            for kind in ("clusterqueues", "resourceflavors", "workloadpriorityclasses"):
                self.cluster.kubectl("delete", f"{kind}.kueue.x-k8s.io", "--all")
            self.cluster.helm("uninstall", RELEASE, "--namespace", SYSTEM, "--wait")
            self.cluster.kubectl("delete", "namespace", SYSTEM, _PROBED)

    def stop(self) -> None:
        """No Kueue runs, until `start`: in managed namespaces no Job can be made or changed."""
        self.kubectl("scale", "deployment", _DEPLOYMENT, "--replicas=0")
        self.kubectl("delete", "pods", "-l", _SELECTOR, "--force", "--grace-period=0")
        wait_until(lambda: not self.pods(), "Kueue is gone", 60)

    def start(self) -> None:
        self.kubectl("scale", "deployment", _DEPLOYMENT, "--replicas=1")
        self.kubectl("rollout", "status", f"deployment/{_DEPLOYMENT}", "--timeout=120s")
        self._wait_for_webhooks()

    def manage(self, namespace: str) -> None:
        """Let Kueue see to the namespace, made unless it is there, and give it a LocalQueue."""
        self._apply(_namespace(namespace))
        queue = {"name": QUEUE, "namespace": namespace}
        self._apply(_document("LocalQueue", queue, spec={"clusterQueue": QUEUE}))

    def workload(self, namespace: str, job: str) -> Document | None:
        """Kueue's Workload for a Job; None when there is none (yet)."""
        found = self.cluster.kubectl("-n", namespace, "get", "workloads", "-o", "json")
        for workload in json.loads(found)["items"]:
            owners = workload["metadata"].get("ownerReferences", [])
            if any(owner["kind"] == "Job" and owner["name"] == job for owner in owners):
                return dict(workload)
        return None

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl("-n", SYSTEM, *words)

    def pods(self) -> list[Document]:
        items: list[Document] = json.loads(
            self.kubectl("get", "pods", "-l", _SELECTOR, "-o", "json")
        )["items"]
        return items

    def logs(self) -> str:
        try:
            return self.kubectl("logs", f"deployment/{_DEPLOYMENT}", "--tail=-1")
        except CommandError as error:
            return str(error)

    def _values(self) -> Document:
        """The chart's values."""
        repository, tag = _IMAGE.rsplit(":", 1)
        image = {"repository": repository, "tag": tag, "pullPolicy": "Never"}
        visible = {"name": "VisibilityOnDemand", "enabled": self.visibility}
        return {
            "controllerManager": {
                "featureGates": [visible],
                "manager": {"image": image, "resources": {"limits": None, "requests": None}},
                "readinessProbe": {"initialDelaySeconds": 1, "periodSeconds": 1},
            },
            "managerConfig": {"controllerManagerConfigYaml": yaml.safe_dump(_CONFIGURATION)},
        }

    def _remove_visibility(self) -> None:
        """The chart has no value for that."""
        for version in ("v1beta1", "v1beta2"):
            name = f"{version}.visibility.kueue.x-k8s.io"
            self.cluster.kubectl("delete", "apiservice", name, "--ignore-not-found")

    def _wait_for_webhooks(self) -> None:
        """The pod is ready before they serve."""
        last = ""

        def served() -> bool:
            nonlocal last
            try:
                self._apply(*_attempts(), dry_run=True)
            except CommandError as error:
                last = str(error)
                return False
            return True

        try:
            wait_until(served, "Kueue's webhooks serve", 60)
        except Exception as error:
            error.add_note(last)
            raise

    def _apply(self, *documents: Document, dry_run: bool = False) -> None:
        options = ["--dry-run=server"] if dry_run else []
        text = yaml.safe_dump_all(documents)
        self.cluster.kubectl("apply", "--server-side", *options, "-f", "-", stdin=text)


def _build_image(cluster: Cluster) -> None:
    """An image of one file."""
    program = go_program("kueue")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        context = Path(scratch)
        (context / "Dockerfile").write_text(_DOCKERFILE)
        shutil.copy2(program, context / "kueue")
        # Its layers are found again by the file's time and content.
        os.utime(context / "kueue", (0, 0))
        cluster.build_image(context / "Dockerfile", _IMAGE, context=context)


def _queues(gpus: int) -> list[Document]:
    return [
        _document("ResourceFlavor", {"name": "default"}),
        _cluster_queue(gpus),
        _document("WorkloadPriorityClass", {"name": BATCH}, value=100, description="can wait"),
        _document("WorkloadPriorityClass", {"name": URGENT}, value=1000, description="goes first"),
    ]


def _cluster_queue(gpus: int) -> Document:
    quota = {"cpu": "8", "memory": "16Gi", GPU_RESOURCE: str(gpus)}
    amounts = [{"name": name, "nominalQuota": amount} for name, amount in quota.items()]
    flavor = {"name": "default", "resources": amounts}
    spec = {
        "namespaceSelector": {},
        "queueingStrategy": "BestEffortFIFO",
        "preemption": {"withinClusterQueue": "LowerPriority"},
        "resourceGroups": [{"coveredResources": list(quota), "flavors": [flavor]}],
    }
    return _document("ClusterQueue", {"name": QUEUE}, spec=spec)


def _attempts() -> list[Document]:
    """One object for a webhook of Kueue's own kinds, one for that of Jobs."""
    container = {"name": "probe", "image": "none"}
    pod = {"restartPolicy": "Never", "containers": [container]}
    labels = {QUEUE_LABEL: QUEUE}
    return [
        _document("ResourceFlavor", {"name": "probe"}),
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "probe", "namespace": _PROBED, "labels": labels},
            "spec": {"template": {"spec": pod}},
        },
    ]


def _namespace(name: str) -> Document:
    labels = {**MANAGED, "pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _document(kind: str, metadata: Document, **fields: Any) -> Document:
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, **fields}

"""The product in a cluster, installed as a user would: its images, its chart, nothing else.

What the tests do with it, they do through kubectl.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from harness.cluster import Cluster
from harness.commands import run
from harness.errors import CommandError
from harness.layout import CACHE
from harness.runner_environment import runner_environment
from harness.waiting import wait_until

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "text-to-video-operator"
RELEASE = "text-to-video-operator"
SYSTEM = "t2v-system"
OPERATOR_IMAGE = "localhost/text-to-video-operator:test"
RUNNER_IMAGE = "localhost/text-to-video-runner:test"
CLAIM = "videos"
PACKAGES_CLAIM = "packages"
URL = "http://videos.test"
NODE_PORT = 30080
"""Of the node, where a test has the embedded store."""

Document = dict[str, Any]

SIMULATED = "simulated"
"""The pool of simulated nodes, where a test has it."""

LONG: Document = {"numInferenceSteps": 20}
"""Long enough to be met while it runs: loading alone takes seconds."""


def a_manifest(name: str, **spec: Any) -> Document:
    """A resource that is made quickly; `spec` goes over that."""
    return {
        "apiVersion": "textto.video/v1alpha1",
        "kind": "TextToVideoJob",
        "metadata": {"name": name},
        "spec": {
            "modelId": "tiny-shapes",
            "prompt": "a large red circle moving right",
            "numInferenceSteps": 3,
            "seed": 1,
            **spec,
        },
    }


@dataclass(frozen=True)
class Workspace:
    """A namespace whose runner pods find what they need."""

    cluster: Cluster
    namespace: str

    def kubectl(self, *words: str, stdin: str | None = None, timeout_seconds: float = 120) -> str:
        return self.cluster.kubectl(
            "-n", self.namespace, *words, stdin=stdin, timeout_seconds=timeout_seconds
        )

    def apply(self, *manifests: Document) -> str:
        return self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def get(self, name: str) -> Document:
        found: Document = json.loads(self.kubectl("get", "t2v", name, "-o", "json"))
        return found

    def status(self, name: str) -> Document:
        status: Document = self.get(name).get("status", {})
        return status

    def children(self, kind: str, name: str) -> list[Document]:
        """The Jobs or pods of a resource."""
        items: list[Document] = json.loads(
            self.kubectl("get", kind, "-l", f"textto.video/job={name}", "-o", "json")
        )["items"]
        return items

    def patch(self, name: str, **spec: Any) -> None:
        self.kubectl("patch", "t2v", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def wait_for(
        self, name: str, holds: Callable[[Document], bool], what: str, seconds: float = 180
    ) -> Document:
        """The status once it `holds`; the last one stands in the error."""
        last: Document = {}

        def reached() -> bool:
            last.clear()
            last.update(self.status(name))
            return holds(last)

        try:
            wait_until(reached, f"{name} is {what}", seconds)
        except Exception as error:
            error.add_note(json.dumps(last, indent=1)[-3000:])
            error.add_note(self.kubectl("get", "events,pods,jobs")[-3000:])
            raise
        return last

    def wait_for_phase(self, name: str, *phases: str, seconds: float = 180) -> Document:
        return self.wait_for(
            name, lambda status: status.get("phase") in phases, "/".join(phases), seconds
        )

    def file(self, url: str) -> bytes:
        """A finished file, read from the volume as a web server would."""
        assert url.startswith(f"{URL}/"), url
        code = "import base64,sys;print(base64.b64encode(open(sys.argv[1],'rb').read()).decode())"
        path = f"/videos/{url.removeprefix(f'{URL}/')}"
        return base64.b64decode(self.kubectl("exec", "reader", "--", "python", "-c", code, path))

    def prepare(self) -> None:
        """Make the namespace, unless it is there, with its volumes and the pod that reads them."""
        restrict(self.cluster, self.namespace)
        self.prepare_claims()
        self.apply(_reader())
        self.kubectl("wait", "pod/reader", "--for=condition=Ready", "--timeout=60s")

    def shares(self, claim: str, folder: Path) -> None:
        """Give the namespace a claim that shows this machine's folder, as others may."""
        self.apply(
            _volume(claim, self.namespace, folder), _claim(self.cluster, claim, self.namespace)
        )

    def shares_no_more(self, claim: str) -> None:
        """Once the last pod that mounted it has gone; a finished one still holds it."""
        self.kubectl("delete", "pvc", claim, "--wait=false")
        self.cluster.kubectl("delete", "pv", f"{claim}-{self.namespace}", "--wait=false")

    def prepare_claims(self) -> None:
        """Give the namespace the volumes that the runner's pods mount."""
        documents = [_claim(self.cluster, CLAIM, self.namespace)]
        if self.cluster.shares_files:
            folder = CACHE / "run" / "videos" / self.namespace
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)
            packages = runner_environment(ROOT / "runner" / "requirements.txt")
            documents += [
                _volume(CLAIM, self.namespace, folder),
                _volume(PACKAGES_CLAIM, self.namespace, packages),
                _claim(self.cluster, PACKAGES_CLAIM, self.namespace),
            ]
        self.apply(*documents)

    def remove(self) -> None:
        self.cluster.kubectl("delete", "namespace", self.namespace, timeout_seconds=180)
        for claim in (CLAIM, PACKAGES_CLAIM):
            volume = f"{claim}-{self.namespace}"
            self.cluster.kubectl("delete", "pv", volume, "--ignore-not-found")


@dataclass
class Installation:
    """The operator in its namespace."""

    cluster: Cluster
    has_a_leftover: bool = False
    """Whether it still has the configuration of a block that ended."""

    def install(self, values: Path, chart: Document | None = None, **config: Any) -> None:
        """Build and load the images, install the chart; the values go over the tests' own."""
        runner_stage = "code" if self.cluster.shares_files else None
        for image, program, stage in (
            (OPERATOR_IMAGE, "operator", None),
            (RUNNER_IMAGE, "runner", runner_stage),
        ):
            dockerfile = ROOT / program / "Dockerfile"
            self.cluster.build_image(dockerfile, image, context=ROOT, target=stage)
            self.cluster.load_image(image)
        restrict(self.cluster, SYSTEM)
        self.upgrade(values, chart, **config)

    def embedded(self) -> Document:
        """What installs the embedded store, with an address that this machine's browser reaches."""
        address = f"http://{self.cluster.host_address()}:{NODE_PORT}"
        service = {"type": "NodePort", "nodePort": NODE_PORT, "port": 8080}
        return {
            "chart": {"store": {"service": service}},
            "storage": {"kind": "embedded", "url": address},
        }

    @contextmanager
    def configured(
        self, values: Path, chart: Document | None = None, **config: Any
    ) -> Iterator[None]:
        """The operator with another configuration, and other values, while the block lasts.

        It keeps them until somebody needs others: two blocks in a row cost two changes, not four.
        """
        self.upgrade(values, chart, **config)
        try:
            yield
        finally:
            self.has_a_leftover = True

    def restore(self, values: Path) -> None:
        """The tests' own configuration, after a block that had another, as if it had ever been."""
        if self.has_a_leftover:
            self.upgrade(values)
            wait_until(self._has_settled, "the earlier operators went, and a new one leads", 60)

    def _has_settled(self) -> bool:
        pods = [pod["metadata"] for pod in self.pods()]
        goes = any("deletionTimestamp" in pod for pod in pods)
        return not goes and self.leader() in {pod["name"] for pod in pods}

    def upgrade(self, values: Path, chart: Document | None = None, **config: Any) -> None:
        """Install the chart, or change its values."""
        values.write_text(json.dumps({**self.values(**config), **(chart or {})}))
        self.cluster.helm(
            *("upgrade", "--install", RELEASE, CHART, "--namespace", SYSTEM),
            *("--values", values, "--wait", "--timeout", "3m"),
        )
        self.has_a_leftover = False

    def uninstall(self) -> None:
        self.cluster.helm("uninstall", RELEASE, "--namespace", SYSTEM, "--wait")
        crds = [f"{plural}.textto.video" for plural in ("texttovideojobs", "videomodels")]
        self.cluster.kubectl("delete", "crd", *crds)

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl("-n", SYSTEM, *words)

    def kill(self) -> None:
        """SIGKILL, as far as kubectl can: no grace, no goodbye. The Deployment starts another."""
        self.kubectl("delete", "pod", "-l", _SELECTOR, "--force", "--grace-period=0")

    def stop(self) -> None:
        """No operator runs, until `start`."""
        self.kubectl("scale", "deployment", RELEASE, "--replicas=0")
        wait_until(lambda: not self.pods(), "the operator is gone", 60)

    def start(self) -> None:
        self.kubectl("scale", "deployment", RELEASE, "--replicas=2")
        self.kubectl("rollout", "status", f"deployment/{RELEASE}", "--timeout=120s")

    @contextmanager
    def cut_off(self, pods: list[str]) -> Iterator[None]:
        """Nothing gets from these pods of the operator to the API server, nor back."""
        rules = [
            ("-s" if source else "-d", pod["status"]["podIP"])
            for pod in self.pods()
            if pod["metadata"]["name"] in pods
            for source in (True, False)
        ]
        for chain in ("INPUT", "OUTPUT", "FORWARD"):
            for flag, address in rules:
                run(["iptables", "-I", chain, flag, address, "-j", "DROP"])
        try:
            yield
        finally:
            for chain in ("INPUT", "OUTPUT", "FORWARD"):
                for flag, address in rules:
                    run(["iptables", "-D", chain, flag, address, "-j", "DROP"])

    def leader(self) -> str:
        """The pod that holds the lease; empty while none does."""
        lease = json.loads(self.kubectl("get", "lease", RELEASE, "-o", "json"))
        return str(lease["spec"].get("holderIdentity", "")).rpartition("_")[0]

    def pods(self) -> list[Document]:
        items: list[Document] = json.loads(
            self.kubectl("get", "pods", "-l", _SELECTOR, "-o", "json")
        )["items"]
        return items

    def logs(self) -> str:
        try:
            return self.kubectl("logs", "-l", _SELECTOR, "--prefix", "--tail=-1")
        except CommandError as error:
            return str(error)

    def pod_template_patch(self) -> Document:
        """What the tests' pods need in this cluster, for whoever adds to it."""
        return _pods_here(self.cluster.shares_files)

    def values(self, **config: Any) -> Document:
        """The tests' own values of the chart; `config` goes over its configuration."""
        model, *others = yaml.safe_load((CHART / "values.yaml").read_text())["config"]["models"]
        model["resources"] = {"gpus": 1, "cpu": "100m", "memory": "3Gi"}
        repository, tag = OPERATOR_IMAGE.rsplit(":", 1)
        return {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "config": {
                "models": [model, *others],
                "runner": {"image": RUNNER_IMAGE, "pullPolicy": "Never"},
                "storage": {"kind": "volume", "claimName": CLAIM, "url": URL},
                "podTemplatePatch": self.pod_template_patch(),
                **config,
            },
        }


_SELECTOR = f"app.kubernetes.io/name=text-to-video-operator,app.kubernetes.io/instance={RELEASE}"


def restrict(cluster: Cluster, namespace: str) -> None:
    """Have the namespace, under the restricted Pod Security Standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": namespace, "labels": labels}
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(document))


def _pods_here(shares_files: bool) -> Document:
    """The GPUs of the tests' nodes are names alone: what is drawn there, the CPU draws."""
    patch = _mounted_packages() if shares_files else {"spec": {"containers": [{"name": "runner"}]}}
    patch["spec"]["containers"][0].setdefault("env", []).append(
        {"name": "T2V_DEVICE", "value": "cpu"}
    )
    return patch


def _mounted_packages() -> Document:
    """torch and diffusers from a folder of this machine, instead of an image of 6 GB."""
    return {
        "spec": {
            "containers": [
                {
                    "name": "runner",
                    "env": [
                        {"name": "PYTHONPATH", "value": "/app:/packages"},
                        # Several pods share this machine's cores.
                        {"name": "OMP_NUM_THREADS", "value": "1"},
                    ],
                    "volumeMounts": [
                        {"name": "packages", "mountPath": "/packages", "readOnly": True}
                    ],
                }
            ],
            "volumes": [
                {"name": "packages", "persistentVolumeClaim": {"claimName": PACKAGES_CLAIM}}
            ],
        }
    }


def _volume(claim: str, namespace: str, folder: Path) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{claim}-{namespace}"},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "hostPath": {"path": str(folder)},
            "claimRef": {"name": claim, "namespace": namespace},
        },
    }


def _claim(cluster: Cluster, name: str, namespace: str) -> Document:
    bound: Document = {"storageClassName": "", "accessModes": ["ReadWriteMany"]}
    provisioned: Document = {"accessModes": ["ReadWriteOnce"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "resources": {"requests": {"storage": "1Gi"}},
            **(bound if cluster.shares_files else provisioned),
        },
    }


def _reader() -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "reader"},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "reader",
                    "image": OPERATOR_IMAGE,
                    "imagePullPolicy": "Never",
                    "command": ["sleep", "infinity"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "videos", "mountPath": "/videos"}],
                }
            ],
            "volumes": [{"name": "videos", "persistentVolumeClaim": {"claimName": CLAIM}}],
        },
    }

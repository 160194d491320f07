"""The chart's NetworkPolicies, enforced: what a runner's pod reaches, and what reaches it."""

import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from harness.commands import run
from harness.network import BRIDGE_ADDRESS, addresses_for_pods
from harness.network_policies import enforced_network_policies
from harness.one_node import OneNodeCluster
from harness.waiting import wait_until
from installation import (
    OPERATOR_IMAGE,
    RELEASE,
    SYSTEM,
    Document,
    Installation,
    Workspace,
    a_manifest,
)
from t2v_operator.core.names import JOB_LABEL, PREFETCH_LABEL

# Of the range that is for examples in documents.
INTERNET = "203.0.113.7"
METADATA = "169.254.169.254"

ONE_NODE = "network policies are enforced on a one-node cluster of the harness"

Targets = dict[str, tuple[str, int]]

# Names, so whoever reaches them reaches the DNS as well.
NEEDED: Targets = {
    "the report server": (f"{RELEASE}-report.{SYSTEM}.svc.cluster.local", 443),
    "the store": (f"{RELEASE}-store.{SYSTEM}.svc.cluster.local", 8080),
    "the DNS by TCP": (BRIDGE_ADDRESS, 53),
    "the internet": (INTERNET, 80),
}

# Prints the names of those targets that accept a connection.
CONNECT = """
import concurrent.futures, json, socket, sys
targets = json.loads(sys.argv[1])
def is_reached(name):
    try:
        socket.create_connection(targets[name], timeout=3).close()
    except OSError:
        return False
    return True
with concurrent.futures.ThreadPoolExecutor(len(targets)) as threads:
    answers = zip(targets, threads.map(is_reached, targets))
    print(json.dumps([name for name, reached in answers if reached]))
"""
LISTEN = """
import signal, socket
listening = [socket.create_server(("", port), backlog=1000) for port in (80, 8000)]
signal.pause()
"""


@pytest.fixture(scope="module")
def policies(
    installation: Installation, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The embedded store and the workspace's policy, and a network that enforces it."""
    if not isinstance(installation.cluster, OneNodeCluster):
        pytest.skip(ONE_NODE)
    values = tmp_path_factory.mktemp("chart") / "values.json"
    embedded = installation.embedded()
    enabled = {"networkPolicies": {"enabled": True, "namespaces": [workspace.namespace]}}
    with (
        installation.configured(values, embedded["chart"] | enabled, storage=embedded["storage"]),
        enforced_network_policies(installation.cluster),
    ):
        yield installation


@pytest.fixture(scope="module")
def forbidden(policies: Installation, workspace: Workspace) -> Iterator[Targets]:
    """What a runner's pod must not reach; each of it listens. The pods listen on 8000 as well."""
    beside = Workspace(policies.cluster, SYSTEM)
    operator = next(pod for pod in policies.pods() if "deletionTimestamp" not in pod["metadata"])
    with (
        a_listening_pod(workspace, "probe"),
        a_listening_pod(workspace, "neighbour") as neighbour,
        a_listening_pod(beside, "stranger") as stranger,
        addresses_for_pods(INTERNET, METADATA),
        a_listener(INTERNET, 80),
        a_listener(INTERNET, 8000),
        a_listener(METADATA, 80),
        a_listener(BRIDGE_ADDRESS, 80),
    ):
        yield {
            "a pod of the namespace": (neighbour, 80),
            "a pod beside the operator": (stranger, 80),
            "the operator's metrics": (operator["status"]["podIP"], 8080),
            "the API server's Service": ("kubernetes.default.svc.cluster.local", 443),
            "the API server": (BRIDGE_ADDRESS, 6443),
            "the kubelet": (BRIDGE_ADDRESS, 10250),
            "the node": (BRIDGE_ADDRESS, 80),
            "the cloud's metadata": (METADATA, 80),
            "another port of the internet": (INTERNET, 8000),
        }


@contextmanager
def a_listening_pod(place: Workspace, name: str) -> Iterator[str]:
    """A pod that listens on ports 80 and 8000, until the block ends; its address."""
    place.apply(_listening_pod(name))
    try:
        yield address_of(place, name)
    finally:
        place.kubectl("delete", "pod", name)


def _listening_pod(name: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
                "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
            },
            "containers": [
                {
                    "name": "listener",
                    "image": OPERATOR_IMAGE,
                    "imagePullPolicy": "Never",
                    "command": ["python", "-c", LISTEN],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def a_listener(address: str, port: int) -> socket.socket:
    """Accepts connections at an address of `addresses_for_pods`; the kernel does it all."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_IP, socket.IP_TRANSPARENT, 1)
    listener.bind((address, port))
    listener.listen(1000)
    return listener


def _a_policy() -> Document:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "example"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]},
    }


def chains_and_sets() -> list[str]:
    """The names of what there is on this machine."""
    rules = run(["iptables-save", "-t", "filter"]).splitlines()
    chains = [line.split()[0] for line in rules if line.startswith(":")]
    return chains + run(["ipset", "list", "-name"]).split()


def address_of(place: Workspace, pod: str) -> str:
    place.kubectl("wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=60s")
    return place.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}")


@contextmanager
def labelled(place: Workspace, pod: str, label: str) -> Iterator[None]:
    place.kubectl("label", "pod", pod, f"{label}={pod}")
    try:
        yield
    finally:
        place.kubectl("label", "pod", pod, f"{label}-")


def wait_until_reached(
    place: Workspace, pod: str, targets: Targets, wanted: set[str], seconds: float = 60
) -> None:
    """Return once the pod reaches exactly the `wanted` ones; the last answer is in the error."""
    reached: set[str] = set()

    def is_so() -> bool:
        words = ("exec", pod, "--", "python", "-c", CONNECT, json.dumps(targets))
        reached.clear()
        reached.update(json.loads(place.kubectl(*words)))
        return reached == wanted

    try:
        wait_until(is_so, f"{pod} reaches {sorted(wanted)} alone", seconds)
    except Exception as error:
        error.add_note(f"it reaches {sorted(reached)}")
        raise


def test_what_enforces_policies_leaves_nothing_behind(workspace: Workspace) -> None:
    if not isinstance(workspace.cluster, OneNodeCluster):
        pytest.skip(ONE_NODE)
    before = chains_and_sets()
    workspace.apply(_a_policy())
    with enforced_network_policies(workspace.cluster):
        wait_until(lambda: "KUBE-SRC-" in "".join(chains_and_sets()), "the policy has a set", 60)
    workspace.kubectl("delete", "networkpolicy", "example")
    assert chains_and_sets() == before


def test_a_pod_with_the_runners_label_reaches_what_a_video_needs_alone(
    policies: Installation, workspace: Workspace, forbidden: Targets
) -> None:
    targets = NEEDED | forbidden
    wait_until_reached(workspace, "probe", targets, set(targets))
    with labelled(workspace, "probe", JOB_LABEL):
        wait_until_reached(workspace, "probe", targets, set(NEEDED))
        wait_until_reached(workspace, "neighbour", targets, set(targets))


def test_what_fetches_a_model_reaches_the_internet_and_the_report_server_alone(
    policies: Installation, forbidden: Targets
) -> None:
    system = Workspace(policies.cluster, SYSTEM)
    targets = NEEDED | forbidden
    del targets["a pod beside the operator"]
    wait_until_reached(system, "stranger", targets, set(targets))
    with labelled(system, "stranger", PREFETCH_LABEL):
        wait_until_reached(system, "stranger", targets, set(NEEDED) - {"the store"})


def test_nothing_but_its_node_reaches_a_runners_pod(
    policies: Installation, workspace: Workspace, forbidden: Targets
) -> None:
    beside = Workspace(policies.cluster, SYSTEM)
    address = address_of(workspace, "probe")
    probe = {"port 80": (address, 80), "port 8000": (address, 8000)}
    for place, pod in ((workspace, "neighbour"), (beside, "stranger")):
        wait_until_reached(place, pod, probe, set(probe))
    with labelled(workspace, "probe", JOB_LABEL):
        for place, pod in ((workspace, "neighbour"), (beside, "stranger")):
            wait_until_reached(place, pod, probe, set())
        # Kubernetes lets a pod's node through always, and with it pods of the host's network.
        socket.create_connection((address, 8000), timeout=5).close()


def test_a_video_is_made_under_the_policies(
    policies: Installation, workspace: Workspace, forbidden: Targets
) -> None:
    name = f"policed-{secrets.token_hex(3)}"
    workspace.apply(a_manifest(name, numInferenceSteps=50, numFrames=32))
    workspace.wait_for_phase(name, "Running")
    (pod,) = workspace.children("pods", name)
    wait_until_reached(workspace, pod["metadata"]["name"], NEEDED | forbidden, set(NEEDED))
    status = workspace.wait_for_phase(name, "Succeeded", "Failed")
    assert status["phase"] == "Succeeded", status["message"]
    assert httpx2.get(status["outputUrl"], trust_env=False).headers["content-type"] == "video/mp4"

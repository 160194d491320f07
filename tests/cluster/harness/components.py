"""The command line of each program of the one-node cluster, in the order they start."""

from collections.abc import Callable
from pathlib import Path

from harness.certificates import CertificateAuthority
from harness.go_programs import go_program
from harness.kubeconfig import write_kubeconfig
from harness.network import (
    API_SERVER_PORT,
    API_SERVICE_ADDRESS,
    BRIDGE_ADDRESS,
    SERVICE_RANGE,
    SIMULATED_POD_RANGE,
)

NODE = "test-node"
API_SERVER = f"https://127.0.0.1:{API_SERVER_PORT}"
ETCD_CLIENT_URL = "http://127.0.0.1:12379"
ETCD_PEER_URL = "http://127.0.0.1:12380"
KWOK = "kwok"
KUBE_ROUTER = "kube-router"
SOURCE_CONTROLLER = "source-controller"
KUSTOMIZE_CONTROLLER = "kustomize-controller"
# Where Flux's source-controller serves what it pulled, for kustomize-controller.
_ARTIFACTS = f"{BRIDGE_ADDRESS}:9790"
AUDIT_LOG = "audit.log"
# The API server's own name towards the aggregated APIs that it asks on a user's behalf.
FRONT_PROXY = "front-proxy-client"
# client-go's default of 20 requests a second hides every figure of throughput.
_NO_CLIENT_LIMIT = ["--kube-api-qps=500", "--kube-api-burst=1000"]

# On by default from 1.35.
RESTART_RULES = "--feature-gates=ContainerRestartRules=true"

Command = list[str | Path]


def make_identities(run: Path) -> None:
    """Make every certificate, and a kubeconfig for each client of the API server."""
    authority = CertificateAuthority(run / "certificates")
    authority.make_key_pair("service-accounts")
    api_service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    names = ["localhost", *api_service, f"{api_service[-1]}.cluster.local"]
    addresses = ["127.0.0.1", BRIDGE_ADDRESS, API_SERVICE_ADDRESS]
    authority.issue_server(
        "kube-apiserver", [*(f"DNS:{name}" for name in names), *(f"IP:{ip}" for ip in addresses)]
    )
    authority.issue_client("apiserver-to-kubelet", "kube-apiserver", "system:masters")
    authority.issue_client(FRONT_PROXY, FRONT_PROXY)
    authority.issue_client("admin", "admin", "system:masters")
    authority.issue_client("kubelet", f"system:node:{NODE}", "system:nodes")
    for component in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        authority.issue_client(component, f"system:{component}")
    folder = run / "kubeconfigs"
    folder.mkdir(mode=0o700)
    for client in ("admin", "kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        write_kubeconfig(folder / client, API_SERVER, authority.folder, client)


def containerd(run: Path) -> Command:
    return ["containerd", "--config", run / "settings" / "containerd.toml"]


def etcd(run: Path) -> Command:
    return [
        go_program("etcd"),
        f"--data-dir={run / 'etcd'}",
        f"--listen-client-urls={ETCD_CLIENT_URL}",
        f"--advertise-client-urls={ETCD_CLIENT_URL}",
        f"--listen-peer-urls={ETCD_PEER_URL}",
        f"--initial-advertise-peer-urls={ETCD_PEER_URL}",
        f"--initial-cluster=default={ETCD_PEER_URL}",
        # What a crash would lose is a test's.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(run: Path) -> Command:
    certificates = run / "certificates"
    return [
        go_program("kube-apiserver"),
        f"--etcd-servers={ETCD_CLIENT_URL}",
        f"--secure-port={API_SERVER_PORT}",
        f"--advertise-address={BRIDGE_ADDRESS}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={certificates / 'ca.crt'}",
        f"--tls-cert-file={certificates / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={certificates / 'kube-apiserver.key'}",
        f"--kubelet-client-certificate={certificates / 'apiserver-to-kubelet.crt'}",
        f"--kubelet-client-key={certificates / 'apiserver-to-kubelet.key'}",
        # The node's name need not resolve, then.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={certificates / 'service-accounts.key'}",
        f"--service-account-key-file={certificates / 'service-accounts.pub'}",
        # "Configure the Aggregation Layer" in the Kubernetes documentation.
        f"--requestheader-client-ca-file={certificates / 'ca.crt'}",
        f"--requestheader-allowed-names={FRONT_PROXY}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certificates / FRONT_PROXY}.crt",
        f"--proxy-client-key-file={certificates / FRONT_PROXY}.key",
        # Webhooks and aggregated APIs are asked at their pods: no wait for kube-proxy.
        "--enable-aggregator-routing=true",
        RESTART_RULES,
        f"--audit-policy-file={run / 'settings' / 'audit-policy.yaml'}",
        f"--audit-log-path={run / AUDIT_LOG}",
        # One file, whatever a test of thousands writes (MB).
        "--audit-log-maxsize=4000",
    ]


def kube_controller_manager(run: Path) -> Command:
    kubeconfig = run / "kubeconfigs" / "kube-controller-manager"
    return [
        go_program("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={run / 'certificates' / 'ca.crt'}",
        f"--service-account-private-key-file={run / 'certificates' / 'service-accounts.key'}",
        f"--flex-volume-plugin-dir={run / 'volume-plugins'}",
        *_NO_CLIENT_LIMIT,
    ]


def kube_scheduler(run: Path) -> Command:
    kubeconfig = run / "kubeconfigs" / "kube-scheduler"
    return [
        go_program("kube-scheduler"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        *_NO_CLIENT_LIMIT,
    ]


def kubelet(run: Path) -> Command:
    return [
        go_program("kubelet"),
        f"--config={run / 'settings' / 'kubelet.yaml'}",
        f"--kubeconfig={run / 'kubeconfigs' / 'kubelet'}",
        f"--hostname-override={NODE}",
        f"--node-ip={BRIDGE_ADDRESS}",
        f"--root-dir={run / 'kubelet'}",
        f"--cert-dir={run / 'kubelet' / 'pki'}",
        RESTART_RULES,
    ]


def kube_proxy(run: Path) -> Command:
    return [
        go_program("kube-proxy"),
        f"--config={run / 'settings' / 'kube-proxy.yaml'}",
        f"--hostname-override={NODE}",
    ]


def cluster_dns(run: Path) -> Command:
    return [go_program("cluster-dns"), "-conf", run / "settings" / "Corefile"]


def kwok(run: Path, stages: Path, annotation: str) -> Command:
    """Simulates the nodes that have the annotation; not a part of the cluster itself."""
    return [
        go_program("kwok"),
        f"--kubeconfig={run / 'kubeconfigs' / 'admin'}",
        f"--config={stages}",
        f"--manage-nodes-with-annotation-selector={annotation}",
        "--node-lease-duration-seconds=40",
        # Addresses for the pods, which nothing answers at.
        f"--cidr={SIMULATED_POD_RANGE}",
    ]


def kube_router(run: Path) -> Command:
    """Enforces network policies, and does nothing else; not a part of the cluster itself."""
    return [
        go_program("kube-router"),
        f"--kubeconfig={run / 'kubeconfigs' / 'admin'}",
        f"--hostname-override={NODE}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--enable-cni=false",
        "--health-port=0",
    ]


def source_controller(run: Path) -> Command:
    """Flux's; pulls Git repositories. Not a part of the cluster itself."""
    storage = run / "flux-artifacts"
    storage.mkdir(exist_ok=True)
    return [
        *_flux(run, SOURCE_CONTROLLER, metrics_port=9791, health_port=9792),
        f"--storage-path={storage}",
        f"--storage-addr={_ARTIFACTS}",
        f"--storage-adv-addr={_ARTIFACTS}",
    ]


def kustomize_controller(run: Path) -> Command:
    """Flux's; applies what was pulled. Not a part of the cluster itself."""
    return [
        *_flux(run, KUSTOMIZE_CONTROLLER, metrics_port=9793, health_port=9794),
        # Else nothing that is committed counts before the videos of the commit before are there.
        "--feature-gates=CancelHealthCheckOnNewRevision=true",
    ]


def _flux(run: Path, name: str, metrics_port: int, health_port: int) -> Command:
    return [
        # It has no flag for either.
        *("env", f"KUBECONFIG={run / 'kubeconfigs' / 'admin'}", "RUNTIME_NAMESPACE=flux-system"),
        go_program(name),
        "--enable-leader-election=false",
        "--events-addr=",
        f"--metrics-addr=127.0.0.1:{metrics_port}",
        f"--health-addr=127.0.0.1:{health_port}",
    ]


Program = Callable[[Path], Command]

# Programs that need the API server, so they start once it answers.
CLIENTS_OF_THE_API_SERVER: dict[str, Program] = {
    "kube-controller-manager": kube_controller_manager,
    "kube-scheduler": kube_scheduler,
    "kubelet": kubelet,
    "kube-proxy": kube_proxy,
    "cluster-dns": cluster_dns,
}

PROGRAMS: dict[str, Program] = {
    "containerd": containerd,
    "etcd": etcd,
    "kube-apiserver": kube_apiserver,
    **CLIENTS_OF_THE_API_SERVER,
}

# Where a program says on this machine that it is well; the others have no such address.
HEALTH = {
    "etcd": f"{ETCD_CLIENT_URL}/health",
    "kube-apiserver": f"{API_SERVER}/readyz",
    "kube-controller-manager": "https://127.0.0.1:10257/healthz",
    "kube-scheduler": "https://127.0.0.1:10259/healthz",
    "kubelet": "http://127.0.0.1:10248/healthz",
    "kube-proxy": "http://127.0.0.1:10256/healthz",
}

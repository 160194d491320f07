"""The command lines of Argo CD's parts, as programs on this machine, and of the Redis they share.

Not parts of the cluster itself: a test starts them beside it.
"""

import os
from pathlib import Path

from harness.components import Command
from harness.debian_packages import install_missing_packages
from harness.go_programs import go_program, module_folder

REDIS = "redis-server"
REPO_SERVER = "argocd-repo-server"
CONTROLLER = "argocd-application-controller"
NAMESPACE = "argocd"
MODULE = "github.com/argoproj/argo-cd/v3"

_REDIS_ADDRESS = ("127.0.0.1", 9800)
_REPO_SERVER_PORT = 9801
_SIGNATURES = "git-verify-wrapper.sh"
# One program, which is a server where it is called one.
_REDIS_PROGRAM = {"redis-tools": "/usr/bin/redis-check-rdb"}


def redis(run: Path) -> Command:
    """What the parts tell one another through; in memory alone."""
    install_missing_packages(_REDIS_PROGRAM)
    program = run / REDIS
    program.unlink(missing_ok=True)
    program.symlink_to(*_REDIS_PROGRAM.values())
    address, port = _REDIS_ADDRESS
    return [program, "--bind", address, "--port", str(port), "--save", ""]


def repo_server(run: Path) -> Command:
    """Pulls Git repositories and makes manifests of them."""
    folder = run / REPO_SERVER
    folder.mkdir(exist_ok=True)
    # It wants this one on its path, which its own image has.
    script = folder / _SIGNATURES
    script.write_bytes((module_folder("argo", MODULE) / "hack" / _SIGNATURES).read_bytes())
    script.chmod(0o755)
    return [
        *_part(run, REPO_SERVER),
        f"--port={_REPO_SERVER_PORT}",
        "--address=127.0.0.1",
        "--metrics-port=9802",
        "--disable-tls",
        "--client-ca-path=",
        # What it pulled last counts for three minutes otherwise.
        "--revision-cache-expiration=2s",
    ]


def application_controller(run: Path) -> Command:
    """Compares, syncs, judges the health. It looks for commits every five seconds."""
    return [
        *_part(run, CONTROLLER),
        f"--kubeconfig={run / 'kubeconfigs' / 'admin'}",
        f"--namespace={NAMESPACE}",
        f"--repo-server=127.0.0.1:{_REPO_SERVER_PORT}",
        "--repo-server-plaintext",
        "--metrics-port=9803",
        "--app-resync=5",
        "--app-resync-jitter=0",
        "--self-heal-timeout-seconds=1",
    ]


def _part(run: Path, name: str) -> Command:
    """One program plays every part; this says which."""
    address, port = _REDIS_ADDRESS
    folder = run / name
    folder.mkdir(exist_ok=True)
    return [
        "env",
        f"ARGOCD_BINARY_NAME={name}",
        f"KUBECONFIG={run / 'kubeconfigs' / 'admin'}",
        f"PATH={folder}:{os.environ['PATH']}",
        f"TMPDIR={folder}",
        f"HOME={folder}",
        # What it calls the cluster it runs in is then what the kubeconfig says.
        "ARGOCD_FAKE_IN_CLUSTER=true",
        "ARGOCD_GPG_ENABLED=false",
        # Its path is otherwise that of Argo CD's own image.
        f"ARGOCD_TLS_DATA_PATH={folder}",
        f"ARGOCD_SSH_DATA_PATH={folder}",
        go_program("argocd"),
        f"--redis={address}:{port}",
    ]

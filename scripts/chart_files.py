"""Write what is made of the chart: config/default for kustomize, and the chart's README.

PYTHONPATH=tests/cluster python scripts/chart_files.py    # a test fails when a file differs

helm and helm-docs are built with Go, as the tests' other programs.
"""

import re
import shutil
from pathlib import Path

from harness.commands import run
from harness.go_programs import go_program

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "text-to-video-operator"
CRDS = ROOT / "crds"
DEFAULT = ROOT / "config" / "default"
RELEASE = "text-to-video-operator"
NAMESPACE = "t2v-system"

MADE = "# Made from the chart by `make generate`; a test fails when it differs.\n"
OF_HELM = re.compile(
    r"^ *(app\.kubernetes\.io/managed-by: Helm|helm\.sh/(chart|resource-policy): .*)\n",
    re.MULTILINE,
)
"""Labels and annotations that speak of Helm alone."""


def chart_files() -> dict[Path, str]:
    """Each file with what it must hold."""
    return {
        **{DEFAULT / name: text for name, text in kustomization(rendered()).items()},
        CRDS / "kustomization.yaml": _crds_kustomization(),
        CHART / "README.md": _readme(),
    }


def rendered(*words: str) -> str:
    """The chart with its default values."""
    program = go_program("helm")
    return run(
        [program, "template", RELEASE, CHART, "--namespace", NAMESPACE, "--skip-tests", *words]
    )


def kustomization(manifests: str) -> dict[str, str]:
    """The folder's files: one for each of the chart's templates that made something, but CRDs."""
    parts: dict[str, list[str]] = {}
    for document in re.split(r"^---\n", manifests, flags=re.MULTILINE):
        if found := re.match(r"# Source: \S+/templates/(\S+)\n", document):
            body = OF_HELM.sub("", document[found.end() :]).strip()
            parts.setdefault(found[1], []).append(re.sub(r"[ \t]+$", "", body, flags=re.MULTILINE))
    del parts["crd.yaml"]
    files = {name: MADE + "\n---\n".join(each) + "\n" for name, each in sorted(parts.items())}
    return {
        "kustomization.yaml": _kustomization(list(files)),
        "namespace.yaml": _NAMESPACE,
        **files,
    }


_NAMESPACE = f"""{MADE}apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def _kustomization(files: list[str]) -> str:
    resources = "".join(f"  - {name}\n" for name in ("../../crds", "namespace.yaml", *files))
    return (
        f"{MADE}# All that the chart's default values make: kubectl apply -k config/default\n"
        "# `kubectl delete -k` deletes the CRDs as well, and with them all videos.\n"
        "apiVersion: kustomize.config.k8s.io/v1beta1\n"
        f"kind: Kustomization\nresources:\n{resources}"
    )


def _crds_kustomization() -> str:
    """The CRDs alone, with the labels that the chart gives them."""
    version = re.search(r'^appVersion: "(.*)"$', (CHART / "Chart.yaml").read_text(), re.MULTILINE)
    assert version
    resources = "".join(f"  - {path.name}\n" for path in sorted(CRDS.glob("*.textto.video.yaml")))
    return f"""{MADE}apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
{resources}labels:
  - pairs:
      app.kubernetes.io/instance: {RELEASE}
      app.kubernetes.io/name: {RELEASE}
      app.kubernetes.io/part-of: {RELEASE}
      app.kubernetes.io/version: {version[1]}
"""


def _readme() -> str:
    """By README.md.gotmpl and the comments in values.yaml."""
    words = ("--dry-run", "--sort-values-order=file", "--log-level=warning")
    return run([go_program("helm-docs"), *words], cwd=CHART).strip() + "\n"


def main() -> None:
    files = chart_files()
    shutil.rmtree(DEFAULT, ignore_errors=True)
    DEFAULT.mkdir(parents=True)
    for path, text in files.items():
        path.write_text(text)
        print(path.relative_to(ROOT))  # noqa: T201


if __name__ == "__main__":
    main()

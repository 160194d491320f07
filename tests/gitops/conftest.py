"""The Go programs that judge as GitOps tools do, and kubectl's kustomize."""

import pytest
from harness.errors import HarnessError
from harness.go_programs import go_program, has_go

_PROGRAMS = ("argo-health", "flux-health", "flux-manifests", "kstatus", "kubectl")


@pytest.fixture(scope="session", autouse=True)
def _judges() -> None:
    if not has_go():
        pytest.skip("Argo CD's and Flux's own judges are built with Go, which is not here")
    try:
        for name in _PROGRAMS:
            go_program(name)
    except HarnessError as error:
        pytest.skip(f"no judges: {error}")

"""The Go programs that judge as GitOps tools do."""

import pytest
from harness.go_programs import has_go


@pytest.fixture(scope="session", autouse=True)
def _go() -> None:
    if not has_go():
        pytest.skip("Argo CD's and Flux's own judges need Go")

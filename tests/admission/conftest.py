"""The Go programs that render the chart and judge as the API server does."""

import pytest
from harness.errors import HarnessError
from harness.go_programs import go_program, has_go


@pytest.fixture(scope="session", autouse=True)
def _judges() -> None:
    if not has_go():
        pytest.skip("the API server's own policy code is built with Go, which is not here")
    try:
        for name in ("admission-judge", "helm"):
            go_program(name)
    except HarnessError as error:
        pytest.skip(f"no judge: {error}")

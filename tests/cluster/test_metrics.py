"""The metrics as Prometheus would read them."""

import subprocess

from harness.go_programs import go_program
from installation import Installation, Workspace


def test_the_linter_finds_nothing_in_the_leaders_metrics(
    installation: Installation, workspace: Workspace
) -> None:
    path = f"/api/v1/namespaces/t2v-system/pods/{installation.leader()}:8080/proxy/metrics"
    text = installation.kubectl("get", "--raw", path)
    assert "t2v_leader 1.0" in text
    linted = subprocess.run([go_program("promlint")], input=text, text=True, capture_output=True)
    assert (linted.returncode, linted.stderr) == (0, "")

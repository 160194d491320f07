"""The operator's cost in a small size: no figure is 30 % worse than docs/performance.md has it.

Nothing here fails on wall time: requests are counted, and CPU time is measured against that of a
fixed piece of work on the same machine at the same moment. It runs before the tests that install
an operator in the cluster: two would share the work.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.choice import choose_cluster
from harness.errors import ClusterUnavailableError
from harness.one_node import OneNodeCluster

ROOT = Path(__file__).parents[2]

WORSE = 1.3
CALLS = 7.7
"""Requests for each resource, without watches and leases."""
CPU_LOOPS = 0.32
"""CPU time for each resource, in loops of the benchmark's fixed piece of work."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[OneNodeCluster]:
    try:
        chosen = choose_cluster()
    except ClusterUnavailableError as reason:
        if os.environ.get("T2V_REQUIRE_CLUSTER") == "1":
            raise
        pytest.skip(f"no Kubernetes: {reason}")
    if not isinstance(chosen, OneNodeCluster):
        pytest.skip("simulated nodes need a one-node cluster of the harness")
    was_up = chosen.is_up()
    chosen.up()
    yield chosen
    if not was_up and os.environ.get("T2V_KEEP_CLUSTER") != "1":
        chosen.down()


def test_sixty_videos_cost_what_is_recorded(cluster: OneNodeCluster, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "benchmarks/operator_scale.py", "--size", "small", "--rounds", "1"]
    options = ["--no-floor", "--rest", "10", "--json", report, "--logs", tmp_path]
    ended = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(report.read_text())
    (figures,) = told["rounds"]
    assert told["unsuccessful"] == []
    assert sum(figures["calls"].values()) <= WORSE * CALLS, figures["calls"]
    assert figures["cpu_ms"] / figures["loop_ms"] <= WORSE * CPU_LOOPS, figures
    assert told["rest"]["calls"] == {}, "what waits for nothing asks for nothing"
    assert told["restart"]["peak_mib"] < 300

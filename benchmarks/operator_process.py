"""The operator as a process of its own, and what the kernel and its own metrics say of it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families
from simulated_cluster import CLAIM, POOL, ROOT

TICKS = os.sysconf("SC_CLK_TCK")
NOT_WORK = frozenset({"watch"})
"""Verbs that come with time, not with work; all that is done with leases is none either."""

Calls = Counter[str]
"""How often each verb and kind was asked for."""


class OperatorEnded(Exception):
    """The process is gone, or does not do what it should; with the end of its log."""


def configuration(namespace: str, port: int, **more: Any) -> str:
    """A file for the operator: it sees this namespace alone, and its lease is there, too."""
    default = yaml.safe_load((ROOT / "operator" / "t2v_operator" / "default.yaml").read_text())
    return yaml.safe_dump(
        default
        | {
            "pools": [POOL],
            "storage": {"kind": "volume", "claimName": CLAIM, "url": "http://videos.example.com"},
            "jobs": {"ttlSecondsAfterFinished": None},
            "leaderElection": {"namespace": namespace, "name": "benchmark"},
            "namespaces": [namespace],
            "healthPort": port,
        }
        | more
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of all the process's threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_seconds() -> float:
    """Of all cores together, so far."""
    user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq))) / TICKS


class OperatorProcess:
    """One run of the operator."""

    def __init__(
        self,
        config: Path,
        kubeconfig: Path,
        log: Path,
        url: str,
        inside: Sequence[str] = (),
        command: Sequence[str] = (sys.executable, "-m", "t2v_operator"),
    ) -> None:
        """`inside`: words before the command, each of which must replace itself by the next."""
        self.log = log
        self.url = url
        self.started = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*inside, *command, "operator", "--config", str(config)],
                env={**os.environ, "KUBECONFIG": str(kubeconfig)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def peak_mib(self) -> float:
        return self._status_mib("VmHWM")

    def resident_mib(self) -> float:
        return self._status_mib("VmRSS")

    def metric(self, name: str) -> float:
        """The sum of all samples of this name."""
        return sum(sample.value for sample in self._samples() if sample.name == name)

    def calls(self) -> Calls:
        """Requests to the API server so far, but for watches and leases."""
        counted: Calls = Counter()
        for sample in self._samples():
            labels = sample.labels
            if sample.name != "t2v_api_calls_total" or labels["kind"] == "leases":
                continue
            if labels["verb"] not in NOT_WORK:
                counted[f"{labels['verb']} {labels['kind']}"] += int(sample.value)
        return counted

    def is_ready(self) -> bool:
        try:
            return self._read("/readyz") == "ok\n"
        except OSError:
            return False

    def leads(self) -> bool:
        return self.is_ready() and self.metric("t2v_leader") == 1

    def has_looked_at(self, resources: int) -> bool:
        """Whether it leads, has looked at so many resources, and nothing waits for a look."""
        if not self.is_ready():
            return False
        figures = {sample.name: sample.value for sample in self._samples()}
        return (
            figures["t2v_leader"] == 1
            and figures["t2v_queue_depth"] == 0
            and figures["t2v_look_seconds_count"] >= resources
        )

    async def wait_until(
        self, holds: Callable[[], bool], what: str, seconds: float = 120, every: float = 0.1
    ) -> float:
        """The seconds since its start when it holds. Raises OperatorEnded."""
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(holds):
            if self.has_ended or time.monotonic() > deadline:
                raise OperatorEnded(f"not {what}; its log ends with:\n{self._tail()}")
            await asyncio.sleep(every)
        return time.monotonic() - self.started

    async def settle(self, limit_seconds: float = 1200) -> float:
        """The seconds until it asks the API server for nothing any more, Events included."""
        began = quiet = time.monotonic()
        before = None
        while time.monotonic() < began + limit_seconds:
            if (now := await asyncio.to_thread(self.calls)) != before:
                before, quiet = now, time.monotonic()
            elif time.monotonic() - quiet > 3:
                break
            await asyncio.sleep(1)
        return quiet - began

    def send(self, number: signal.Signals) -> None:
        if not self.has_ended:
            self._process.send_signal(number)

    def wait(self, seconds: float = 30) -> None:
        """For its end. Kills it after that time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def end(self) -> None:
        """Let it end as a pod does."""
        self.send(signal.SIGTERM)
        self.wait()

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._process.wait()

    def _status_mib(self, field: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
        raise OperatorEnded(f"no {field}: {self._tail()}")

    def _samples(self) -> list[Any]:
        families = text_string_to_metric_families(self._read("/metrics"))
        return [sample for family in families for sample in family.samples]

    def _read(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

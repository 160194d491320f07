"""What the product's pods serve as metrics while a suite runs, as a Prometheus would see it."""

import json
import threading
from contextlib import suppress

from harness.cluster import Cluster
from harness.errors import HarnessError
from installation import SYSTEM
from t2v_operator.cli.doctor.installation import PART_OF

from tests.prometheus import series_of

EVERY_SECONDS = 15
PORT = 8080
JOBS = ("operator", "gateway")
"""Prometheus's name for those that serve some; their containers' as well."""


class MetricsSeen(threading.Thread):
    """Reads them again and again until `stop`; pods come and go meanwhile."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(name="metrics", daemon=True)
        self._cluster = cluster
        self._stopping = threading.Event()
        self._latest: dict[str, str] = {}

    @property
    def series(self) -> list[dict[str, str]]:
        """All that there ever were, with their latest values."""
        latest = dict(self._latest)
        return [{"series": name, "values": values} for name, values in latest.items()]

    def run(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            # Nothing may be installed just now, a pod may just go.
            with suppress(HarnessError):
                self._read_all()

    def stop(self) -> None:
        self._stopping.set()
        self.join(60)

    def _read_all(self) -> None:
        listed = self._cluster.kubectl("-n", SYSTEM, "get", "pods", "-l", PART_OF, "-o", "json")
        for pod in json.loads(listed)["items"]:
            job = pod["spec"]["containers"][0]["name"]
            if job in JOBS:
                with suppress(HarnessError):
                    self._read(pod["metadata"]["name"], job)

    def _read(self, pod: str, job: str) -> None:
        path = f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:{PORT}/proxy/metrics"
        text = self._cluster.kubectl("get", "--raw", path)
        self._latest |= {each["series"]: each["values"] for each in series_of(text, job)}

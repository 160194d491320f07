"""Watch a namespace's Jobs and pods without a pause, also across an API server that goes."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2
from harness.components import API_SERVER
from harness.layout import RUN
from t2v_operator.core.names import JOB_LABEL

from chaos.lives import Lives

TURN_SECONDS = 10
"""One watch, so that whoever ends it waits no longer."""

Document = dict[str, Any]


class Expired(Exception):
    """The API server has forgotten what was since then."""


@contextmanager
def watched(namespace: str) -> Iterator[tuple[Lives, Lives]]:
    """The Jobs and the pods that there are until the block ends, and while it lasts."""
    jobs, pods = Lives("Jobs"), Lives("pods")
    watches = (
        Watch(f"/apis/batch/v1/namespaces/{namespace}/jobs", jobs),
        Watch(f"/api/v1/namespaces/{namespace}/pods", pods),
    )
    for watch in watches:
        watch.start()
    try:
        yield jobs, pods
    finally:
        for watch in watches:
            watch.stop()


class Watch(threading.Thread):
    """Tells `lives` all that happens to the objects of one path."""

    def __init__(self, path: str, lives: Lives) -> None:
        super().__init__(name=path, daemon=True)
        self._url = f"{API_SERVER}{path}"
        self._lives = lives
        self._stopping = threading.Event()
        self._version = ""
        """Of the last change that was seen; empty: all is to be listed."""

    def run(self) -> None:
        with httpx2.Client(verify=_as_admin(), trust_env=False) as client:
            while not self._stopping.is_set():
                # Nobody answers, or an answer ends halfway.
                with suppress(httpx2.HTTPError, OSError, ValueError):
                    self._turn(client)
                self._stopping.wait(0.1)

    def stop(self) -> None:
        self._stopping.set()
        self.join(TURN_SECONDS + 30)

    def _turn(self, client: httpx2.Client) -> None:
        try:
            if not self._version:
                self._list(client)
            self._watch(client)
        except Expired:
            self._version = ""
            self._lives.gaps += 1

    def _list(self, client: httpx2.Client) -> None:
        answer = client.get(self._url, params={"labelSelector": JOB_LABEL}, timeout=20)
        answer.raise_for_status()
        listed = answer.json()
        self._lives.listed(listed["items"])
        self._version = listed["metadata"]["resourceVersion"]

    def _watch(self, client: httpx2.Client) -> None:
        parameters = {
            "labelSelector": JOB_LABEL,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(TURN_SECONDS),
            "resourceVersion": self._version,
        }
        patience = TURN_SECONDS + 15
        with client.stream("GET", self._url, params=parameters, timeout=patience) as answer:
            if answer.status_code == httpx2.codes.GONE:
                raise Expired
            answer.raise_for_status()
            for line in answer.iter_lines():
                self._take(json.loads(line))

    def _take(self, event: Document) -> None:
        kind, document = event["type"], event["object"]
        if kind == "ERROR":
            raise Expired
        if kind != "BOOKMARK":
            self._lives.seen(document, is_gone=kind == "DELETED")
        self._version = document["metadata"]["resourceVersion"]


def _as_admin() -> ssl.SSLContext:
    certificates = RUN / "certificates"
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    context.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
    return context

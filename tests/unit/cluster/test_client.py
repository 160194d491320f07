"""The right to write is asked for before each write, and never for a read."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import ClusterError, NotLeader
from t2v_operator.cluster.kinds import JOBS


class Connection:
    """Answers every request alike, and notes it."""

    def __init__(self, status: int = 200, body: Any = None) -> None:
        self._status, self._body = status, json.dumps(body or {}).encode()
        self.sent: list[str] = []
        self.configuration = SimpleNamespace(host="https://api")
        self.rest_client = self

    async def update_params_for_auth(self, *_: Any) -> None:
        pass

    async def request(self, method: str, url: str, **_: Any) -> Any:
        self.sent.append(f"{method} {url.partition('?')[0].removeprefix('https://api')}")
        return SimpleNamespace(
            status=self._status, reason="", response=SimpleNamespace(read=self._read)
        )

    async def _read(self) -> bytes:
        return self._body


def a_client(connection: Any, leads: bool = True) -> Client:
    return Client(connection, may_write=lambda: leads)


JOB = "/apis/batch/v1/namespaces/films/jobs/a"


@pytest.mark.parametrize(
    ("write", "sent"),
    [
        (lambda c: c.create(JOBS, "films", {}), "POST /apis/batch/v1/namespaces/films/jobs"),
        (lambda c: c.replace(JOBS, "films", "a/status", {}), f"PUT {JOB}/status"),
        (lambda c: c.patch(JOBS, "films", "a", {}), f"PATCH {JOB}"),
        (lambda c: c.delete(JOBS, "films", "a", {}), f"DELETE {JOB}"),
    ],
    ids=["create", "replace", "patch", "delete"],
)
def test_who_does_not_lead_sends_no_write(write: Any, sent: str) -> None:
    connection = Connection()
    with pytest.raises(NotLeader):
        asyncio.run(write(a_client(connection, leads=False)))
    assert connection.sent == []
    asyncio.run(write(a_client(connection)))
    assert connection.sent == [sent]


def test_a_candidate_reads_and_writes_its_lease() -> None:
    connection = Connection()
    candidate = a_client(connection, leads=False)
    asyncio.run(candidate.get(JOBS, "films", "a"))
    asyncio.run(candidate.list(JOBS, None))
    asyncio.run(candidate.write_lease("t2v", "operator", {}))
    assert len(connection.sent) == 3


def test_what_is_not_there_is_none_and_every_other_error_is_told_in_the_servers_words() -> None:
    gone = Connection(404, {"reason": "NotFound", "message": "no such job"})
    assert asyncio.run(a_client(gone).get(JOBS, "films", "a")) is None
    refusing = Connection(403, {"reason": "Forbidden", "message": "exceeded quota"})
    with pytest.raises(ClusterError, match="403 Forbidden: exceeded quota"):
        asyncio.run(a_client(refusing).create(JOBS, "films", {}))

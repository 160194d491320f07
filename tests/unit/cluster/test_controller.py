"""The operator as a whole: who makes work, what an API server that is away does to it."""

import asyncio
import gc
import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientConnectionError
from t2v_operator.cluster import controller
from t2v_operator.cluster.controller import Operator
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import JOBS, LEASES, RESOURCES, SECRETS
from t2v_operator.cluster.reporting import Delivery
from t2v_operator.config import ConfigurationError, OperatorConfig

from tests.unit.api_keys import a_config_with_keys
from tests.unit.builders import a_config, a_config_with_kueue
from tests.unit.cluster.api_server import ApiServer
from tests.unit.observations import a_job_document, a_pod_document, a_resource_document

AWAY = ClientConnectionError("the API server is away")
NOT_JSON = json.JSONDecodeError("Expecting value", "<html>", 0)
KEY = ("default", "red-circle")


def an_operator(server: Any, config: Any = None) -> Operator:
    """One whose requests this server answers."""
    nothing: Any = None
    delivery = Delivery(config or a_config(), session=nothing, store=None, certificate=None)
    operator = Operator(nothing, delivery)
    operator._client = server
    operator._leadership._client = server
    for reflector in operator._reflectors:
        reflector._client = server
    return operator


def hear(operator: Operator) -> None:
    resource, job, pod = a_resource_document(), a_job_document(), a_pod_document()
    for version, document in enumerate((resource, job, pod), 1):
        document["metadata"]["resourceVersion"] = str(version)
    operator._cache.resources.event("ADDED", resource, None)
    operator._cache.jobs.event("ADDED", job, None)
    operator._cache.pods.event("ADDED", pod, None)


def test_who_does_not_lead_queues_nothing() -> None:
    """What is queued for days would be looked at, all at once, before anything else."""
    operator = an_operator(ApiServer())
    hear(operator)
    assert operator._queue.depth == 0


def test_who_has_a_key_is_looked_at_when_a_key_changes() -> None:
    operator = an_operator(ApiServer(), a_config_with_keys())
    operator._works = True
    with_key = a_resource_document(name="with", spec={"keySecretRef": {"name": "alice"}})
    labelled = a_resource_document(name="labelled", key_id="0123456789ab")
    without = a_resource_document(name="without")
    for version, document in enumerate((with_key, labelled, without), 1):
        document["metadata"]["resourceVersion"] = str(version)
        operator._cache.resources.wrote(document)
    operator._key_changed("0123456789ab")
    assert operator._queue.depth == 2


def test_keys_are_watched_where_they_are_used_alone() -> None:
    without, used = (an_operator(ApiServer(), each) for each in (None, a_config_with_keys()))
    assert SECRETS not in [each.kind for each in without._reflectors]
    assert SECRETS in [each.kind for each in used._reflectors]
    assert "secrets" in used._not_ready()
    assert "secrets" not in without._not_ready()


@pytest.mark.parametrize(("named", "watched"), [(None, "default"), ("keys", "keys")])
def test_keys_are_watched_in_the_namespace_that_is_named(named: str | None, watched: str) -> None:
    document = a_config_with_keys().document() | {"apiKeys": {"enabled": True, "namespace": named}}
    operator = an_operator(ApiServer(), OperatorConfig.parse(document))
    (scope,) = (each.scope for each in operator._reflectors if each.kind is SECRETS)
    assert scope == watched


class Refusing(ApiServer):
    """Whatever is asked of it, that is what it says."""

    def __init__(self, fault: Any) -> None:
        super().__init__()
        self.fault = fault

    async def list(self, *_: Any, **__: Any) -> Any:
        if isinstance(self.fault, Exception):
            raise self.fault
        return self.fault


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(AWAY, id="away"),
        pytest.param(TimeoutError(), id="silent"),
        pytest.param(ClusterError(503, "", "no endpoints"), id="unavailable"),
        pytest.param(ClusterError(403, "Forbidden", "no rights"), id="no rights yet"),
        pytest.param(NOT_JSON, id="HTML"),
    ],
)
def test_an_api_server_that_cannot_be_asked_yet_does_not_end_the_operator(fault: Any) -> None:
    asyncio.run(an_operator(Refusing(fault), a_config_with_kueue()).check())


def test_a_cluster_without_the_crd_ends_the_operator_with_words() -> None:
    refusing = Refusing(ClusterError(404, "NotFound", "the server could not find it"))
    with pytest.raises(ConfigurationError, match="install the CRD"):
        asyncio.run(an_operator(refusing).check())


class Positions(ApiServer):
    """Watches as they are scripted, then a bookmark of now; each request takes a moment."""

    def __init__(self, *watches: list[Any]) -> None:
        super().__init__()
        self.watches = list(watches)

    async def watch(self, kind: Any, *_: Any, **__: Any) -> Any:
        self._asked("watch", kind)
        await asyncio.sleep(0)
        bookmark = {
            "type": "BOOKMARK",
            "object": {"metadata": {"resourceVersion": str(self.version)}},
        }
        for event in self.watches.pop(0) if self.watches else [bookmark]:
            if isinstance(event, Exception):
                raise event
            yield event


def test_who_begins_to_lead_looks_at_every_resource() -> None:
    server = Positions()
    operator = an_operator(server)
    looked: list[Any] = []

    async def look(key: Any) -> None:
        looked.append(key)

    operator._queue._work = look

    async def go() -> None:
        for reflector in operator._reflectors:
            reflector._listed.set()
        hear(operator)
        task = asyncio.create_task(operator._lead())
        async with asyncio.timeout(5):
            while not looked:
                await asyncio.sleep(0.001)
        operator._add(("default", "another"))
        async with asyncio.timeout(5):
            while len(looked) < 2:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await operator._leadership.release()

    try:
        asyncio.run(go())
    finally:
        gc.unfreeze()
    assert looked == [KEY, ("default", "another")]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between two tries, without waiting."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(controller, "asyncio", SimpleNamespace(sleep=sleep))
    return waited


def noted(server: Positions) -> Operator:
    operator = an_operator(server)
    assert not operator._is_current("films")

    async def note() -> None:
        async with asyncio.timeout(5):
            await operator._note_positions()

    asyncio.run(note())
    return operator


def test_a_new_leader_is_current_when_its_caches_reached_what_was_written_before(
    pauses: list[float],
) -> None:
    server = Positions()
    assert noted(server)._is_current("films")
    assert server.count("list", RESOURCES) == server.count("list", JOBS) == 1
    assert pauses == []


@pytest.mark.parametrize(
    "fault", [AWAY, TimeoutError(), ClusterError(500, "", "etcd is away"), NOT_JSON], ids=repr
)
def test_a_position_that_cannot_be_asked_for_is_asked_for_again(
    fault: Exception, pauses: list[float]
) -> None:
    server = Positions([fault])
    server.refusals["list", "texttovideojobs"] = fault
    assert noted(server)._is_current("films")
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "watch",
    [
        pytest.param([{"type": "ERROR", "object": {"code": 429, "message": "busy"}}], id="busy"),
        pytest.param([{"type": "ERROR", "object": {"code": 410, "message": "old"}}], id="too old"),
        pytest.param([], id="it ends at once"),
    ],
)
def test_short_watches_that_lead_nowhere_are_not_asked_for_without_pause(
    watch: list[Any], pauses: list[float]
) -> None:
    noted(Positions(*[watch] * 50))
    assert len(pauses) >= 20


def test_json_of_another_form_does_not_end_the_search_for_a_position(pauses: list[float]) -> None:
    server = Positions([{"kind": "Status"}])
    assert noted(server)._is_current("films")


@pytest.mark.parametrize("during", ["acquire", "renew", "release"])
def test_html_in_place_of_the_lease_does_not_end_the_operator(during: str) -> None:
    server = ApiServer()
    leads = an_operator(server)._leadership

    async def go() -> None:
        if during != "acquire":
            await leads.acquire()
        server.refusals |= {(verb, LEASES.plural): NOT_JSON for verb in ("get", "create", "update")}
        if during == "release":
            await leads.release()
        else:
            await leads._try()

    asyncio.run(go())

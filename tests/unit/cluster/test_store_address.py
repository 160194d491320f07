"""The embedded store's own address: found late, found anew, and seldom asked for."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientConnectionError
from t2v_api.delivery import FileToUpload
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import NODES, SERVICES
from t2v_operator.cluster.reporting import Delivery
from t2v_operator.cluster.store_address import (
    FRESH_SECONDS,
    NONE_SECONDS,
    PATIENCE_SECONDS,
    NoAddressYet,
    StoreAddress,
)
from t2v_operator.config import OperatorConfig

from tests.unit.builders import a_config
from tests.unit.cluster.api_server import ApiServer

NAME, SYSTEM, LOCAL = "video-store", "t2v-system", "http://localhost:8080"
FIRST, SECOND = {"ip": "203.0.113.7"}, {"ip": "203.0.113.8"}


class Asked:
    """A Service, and who asks for its address; time passes when told."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self.seconds = 1000.0
        client: Any = self.server
        self.address = StoreAddress(client, SYSTEM, NAME, LOCAL, lambda: self.seconds)

    def put(self, kind: str = "LoadBalancer", *ingress: Any) -> None:
        put_service(self.server, kind, *ingress)

    def __call__(self, times: int = 1) -> list[str]:
        async def ask() -> list[str]:
            return await asyncio.gather(*(self.address() for _ in range(times)))

        return asyncio.run(ask())

    def url(self) -> str:
        return self()[0]


def put_service(server: ApiServer, kind: str, *ingress: Any) -> None:
    ports = [{"name": "http", "port": 8080, "nodePort": 30080}]
    server.put(
        SERVICES,
        {
            "metadata": {"namespace": SYSTEM, "name": NAME},
            "spec": {"type": kind, "ports": ports},
            "status": {"loadBalancer": {"ingress": list(ingress)}},
        },
    )


def put_node(server: ApiServer, name: str, address: str) -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": address}],
    }
    server.put(NODES, {"metadata": {"name": name}, "status": status})


def test_many_links_ask_once_and_links_a_minute_later_once_more() -> None:
    asked = Asked()
    asked.put("LoadBalancer", FIRST)
    assert asked(50) == ["http://203.0.113.7:8080"] * 50
    asked.seconds += FRESH_SECONDS - 1
    asked.url()
    assert asked.server.requests == [("get", "services")], "and for nodes, not at all"
    asked.put("LoadBalancer", SECOND)
    asked.seconds += 1
    assert asked(50) == ["http://203.0.113.8:8080"] * 50
    assert asked.server.requests == [("get", "services")] * 2


def test_nodes_are_asked_for_where_their_ports_are_used() -> None:
    asked = Asked()
    asked.put("NodePort")
    put_node(asked.server, "node-1", "10.0.0.1")
    put_node(asked.server, "node-2", "10.0.0.2")
    assert asked.url() == "http://10.0.0.1:30080"
    assert asked.server.requests == [("get", "services"), ("list", "nodes")]


def test_a_video_waits_for_a_balancer_that_comes_late() -> None:
    asked = Asked()
    asked.put()
    with pytest.raises(NoAddressYet, match="video-store has no address yet"):
        asked.url()
    asked.put("LoadBalancer", FIRST)
    asked.seconds += NONE_SECONDS
    assert asked.url() == "http://203.0.113.7:8080"


def test_a_balancer_that_never_comes_is_not_waited_for_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = Asked()
    asked.put()
    for _ in range(3):
        with pytest.raises(NoAddressYet):
            asked.url()
    asked.seconds += PATIENCE_SECONDS
    assert asked.url() == LOCAL
    asked.seconds += FRESH_SECONDS
    assert asked.url() == LOCAL
    (told,) = caplog.messages
    assert "finished videos wait 300 s" in told
    assert LOCAL in told
    asked.put("LoadBalancer", FIRST)
    asked.seconds += FRESH_SECONDS
    assert asked.url() == "http://203.0.113.7:8080", "however late"


def test_an_address_that_went_is_waited_for_anew() -> None:
    asked = Asked()
    asked.put("LoadBalancer", FIRST)
    asked.url()
    asked.put()
    asked.seconds += PATIENCE_SECONDS
    with pytest.raises(NoAddressYet):
        asked.url()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ClientConnectionError("away"), id="away"),
        pytest.param(ClusterError(403, "Forbidden", "no rights"), id="no rights"),
    ],
)
def test_what_cannot_be_read_is_as_it_was(fault: Exception) -> None:
    asked = Asked()
    asked.put("LoadBalancer", FIRST)
    asked.server.refusals["get", "services"] = fault
    with pytest.raises(NoAddressYet):
        asked.url()
    asked.seconds += FRESH_SECONDS
    assert asked.url() == "http://203.0.113.7:8080"
    asked.server.refusals["get", "services"] = fault
    asked.seconds += FRESH_SECONDS
    assert asked.url() == "http://203.0.113.7:8080"


def test_a_missing_right_for_nodes_holds_up_no_video_for_ever() -> None:
    asked = Asked()
    asked.put("NodePort")
    refusal = ClusterError(403, "Forbidden", "no rights")
    asked.server.refusals["list", "nodes"] = refusal
    with pytest.raises(NoAddressYet):
        asked.url()
    asked.server.refusals["list", "nodes"] = refusal
    asked.seconds += PATIENCE_SECONDS
    assert asked.url() == LOCAL


def test_the_configured_service_gives_links_their_beginning_and_not_grants() -> None:
    server = ApiServer()
    put_service(server, "LoadBalancer", FIRST)
    storage = {"kind": "embedded", "service": NAME, "internalUrl": "http://video-store.svc:8080"}
    report = {"url": "https://video-report.t2v-system.svc"}
    changed = {"storage": storage, "reportServer": report}
    config = OperatorConfig.parse(a_config().document() | changed)
    client: Any = server
    no_session: Any = None
    key = "videos/films/0123/video.mp4"
    file = FileToUpload(name="video.mp4", bytes=3, sha256="0" * 64, md5="0" * 32)

    async def go() -> None:
        delivery = await Delivery.prepare(config, client, SYSTEM, no_session)
        assert delivery.store
        grant = await delivery.store.grant(key, file)
        assert grant.url.startswith(f"http://video-store.svc:8080/{key}?")
        assert (await delivery.store.link(key)).startswith(f"http://203.0.113.7:8080/{key}?")

    asyncio.run(go())

"""What URLs of a Service begin with, as the API server tells of it and of the nodes."""

from typing import Any

import pytest
from t2v_operator.core.service_address import url_of


def a_service(kind: str, *ingress: Any, port: int = 8080, **more: Any) -> Any:
    return {
        "spec": {"type": kind, "ports": [{"name": "http", "port": port, **more}]},
        "status": {"loadBalancer": {"ingress": list(ingress)} if ingress else {}},
    }


def a_node(*addresses: tuple[str, str], ready: str = "True") -> Any:
    return {
        "status": {
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": ready},
            ],
            "addresses": [{"type": kind, "address": value} for kind, value in addresses],
        }
    }


INSIDE = a_node(("Hostname", "a"), ("InternalIP", "10.0.0.1"))
OUTSIDE = a_node(("InternalIP", "10.0.0.2"), ("ExternalIP", "203.0.113.2"))
AT_NODES = a_service("NodePort", nodePort=30080)


@pytest.mark.parametrize(
    ("service", "nodes", "url"),
    [
        pytest.param(
            a_service("LoadBalancer", {"ip": "203.0.113.7"}),
            [],
            "http://203.0.113.7:8080",
            id="a balancer's address",
        ),
        pytest.param(
            a_service("LoadBalancer", {"hostname": "lb.example.com"}),
            [OUTSIDE],
            "http://lb.example.com:8080",
            id="a balancer's name",
        ),
        pytest.param(
            a_service("LoadBalancer", {"ip": "2001:db8::7"}, {"ip": "203.0.113.7"}),
            [],
            "http://[2001:db8::7]:8080",
            id="IPv6 in brackets",
        ),
        pytest.param(
            a_service("LoadBalancer", {"ip": "203.0.113.7"}, port=80),
            [],
            "http://203.0.113.7",
            id="HTTP's own port is not said",
        ),
        pytest.param(
            a_service("LoadBalancer", {"ports": []}, {"ip": "203.0.113.7"}),
            [],
            "http://203.0.113.7:8080",
            id="an entry without an address",
        ),
        pytest.param(a_service("LoadBalancer"), [OUTSIDE], None, id="a balancer that is to come"),
        pytest.param(
            {"spec": a_service("LoadBalancer")["spec"]}, [], None, id="a Service without a status"
        ),
        pytest.param(
            AT_NODES, [INSIDE, OUTSIDE], "http://203.0.113.2:30080", id="an external one goes first"
        ),
        pytest.param(AT_NODES, [INSIDE], "http://10.0.0.1:30080", id="an internal one"),
        pytest.param(
            AT_NODES,
            [a_node(("ExternalIP", "203.0.113.1"), ready="Unknown"), INSIDE],
            "http://10.0.0.1:30080",
            id="a lost node's is none",
        ),
        pytest.param(
            AT_NODES,
            [a_node(("InternalIP", "fd00::1"))],
            "http://[fd00::1]:30080",
            id="a node's IPv6",
        ),
        pytest.param(AT_NODES, [a_node(), {}], None, id="nodes that say nothing yet"),
        pytest.param(a_service("NodePort"), [INSIDE], None, id="a port that is to come"),
        pytest.param(a_service("ClusterIP"), [INSIDE], None, id="within the cluster"),
    ],
)
def test_links_begin_with_what_a_browser_reaches(
    service: Any, nodes: list[Any], url: str | None
) -> None:
    assert url_of(service, nodes) == url

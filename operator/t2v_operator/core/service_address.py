"""Where browsers reach a Service, from what the API server says of it and of the nodes. Pure.

For NodePort and LoadBalancer alone: a Service within the cluster has no address that a browser
reaches, and an Ingress or an HTTPRoute is known before it is there.
"""

from collections.abc import Iterable, Iterator, Sequence

from t2v_operator.core.job import Manifest

NODE_ADDRESSES = ("ExternalIP", "InternalIP")
"""The types of a node's addresses, the better one first; the others are names for within."""
HTTP_PORT = 80


def is_at_nodes(service: Manifest) -> bool:
    """Whether its address is a node's."""
    return _type(service) == "NodePort"


def url_of(service: Manifest, nodes: Sequence[Manifest]) -> str | None:
    """What URLs of the Service begin with; None as long as it has no address.

    Of several Ready nodes the first in `nodes`: in the API server's order it stays the same.
    """
    (port, *_) = service["spec"]["ports"]
    if is_at_nodes(service):
        return _url(_node_addresses(nodes), port.get("nodePort"))
    if _type(service) == "LoadBalancer":
        return _url(_balancer_addresses(service), port["port"])
    return None


def _type(service: Manifest) -> str:
    return str(service["spec"].get("type"))


def _balancer_addresses(service: Manifest) -> Iterator[str]:
    balancer = service.get("status", {}).get("loadBalancer") or {}
    for ingress in balancer.get("ingress") or ():
        yield ingress.get("ip") or ingress.get("hostname") or ""


def _node_addresses(nodes: Sequence[Manifest]) -> Iterator[str]:
    statuses = [node["status"] for node in nodes if _is_ready(node)]
    for wanted in NODE_ADDRESSES:
        for status in statuses:
            for address in status.get("addresses") or ():
                if address["type"] == wanted:
                    yield address["address"]


def _is_ready(node: Manifest) -> bool:
    conditions = node.get("status", {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def _url(addresses: Iterable[str], port: int | None) -> str | None:
    address = next(filter(None, addresses), None)
    if address is None or not port:
        return None
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}" if port == HTTP_PORT else f"http://{host}:{port}"

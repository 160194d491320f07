"""The addresses of the one-node cluster and the bridge its pods hang on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from harness.commands import run
from harness.errors import CommandError

BRIDGE = "t2v-test0"
# The machine's own address on the bridge: API server, DNS, kubelet, and what tests serve to pods.
BRIDGE_ADDRESS = "10.87.0.1"
POD_RANGE = "10.87.0.0/16"
SERVICE_RANGE = "10.97.0.0/16"
# Simulated pods' addresses are only written down.
SIMULATED_POD_RANGE = "10.107.0.0/16"
API_SERVICE_ADDRESS = "10.97.0.1"
API_SERVER_PORT = 6443
# Of routes that hold for what comes from pods alone.
_PODS_TABLE = "8700"
_CUT = (
    ("INPUT", "-i", BRIDGE, "-j", "DROP"),
    ("OUTPUT", "-o", BRIDGE, "-j", "DROP"),
    ("FORWARD", "-i", BRIDGE, "-j", "DROP"),
    ("FORWARD", "-o", BRIDGE, "-j", "DROP"),
)
"""No packet comes over the bridge, nor from one pod to another where bridged ones meet iptables."""


def add_bridge() -> None:
    """Make the bridge before the first pod does: the API server advertises its address."""
    run(["ip", "link", "add", "name", BRIDGE, "type", "bridge"])
    run(["ip", "address", "add", f"{BRIDGE_ADDRESS}/16", "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])
    # Until kube-proxy knows a Service, a connection to it would leave by the default route and
    # stay open; on the bridge nobody answers, which is an error after seconds.
    run(["ip", "route", "add", SERVICE_RANGE, "dev", BRIDGE])


def remove_bridge() -> None:
    """Remove the bridge and the pods' interfaces that still hang on it."""
    with suppress(CommandError):
        ports = json.loads(run(["ip", "-json", "link", "show", "master", BRIDGE]) or "[]")
        for port in ports:
            run(["ip", "link", "delete", port["ifname"]])
    with suppress(CommandError):
        run(["ip", "link", "delete", BRIDGE])


def cut_pods_off() -> None:
    """As if the cable were out, until `join_pods`: what is open stays open, and hears nothing.

    The machine itself reaches the API server as before, so the node stays ready.
    """
    join_pods()
    for rule in _CUT:
        run(["iptables", "-w", "10", "-I", *rule])


def join_pods() -> None:
    """Remove what `cut_pods_off` made, also what a killed test left."""
    for rule in _CUT:
        with suppress(CommandError, FileNotFoundError):
            run(["iptables", "-w", "10", "-D", *rule])


@contextmanager
def addresses_for_pods(*addresses: str) -> Iterator[None]:
    """Inside the block pods find this machine at these addresses; nobody else is led here.

    Whoever listens at one needs the socket option IP_TRANSPARENT.
    """
    remove_addresses_for_pods()
    try:
        run(["ip", "rule", "add", "iif", BRIDGE, "lookup", _PODS_TABLE])
        for address in addresses:
            run(["ip", "route", "add", "local", address, "dev", "lo", "table", _PODS_TABLE])
        yield
    finally:
        remove_addresses_for_pods()


def remove_addresses_for_pods() -> None:
    """Remove what `addresses_for_pods` made, also what a killed test left."""
    with suppress(CommandError):
        run(["ip", "rule", "delete", "iif", BRIDGE, "lookup", _PODS_TABLE])
    with suppress(CommandError):
        run(["ip", "route", "flush", "table", _PODS_TABLE])

"""An operator process with a host name and a network of its own, which can be cut.

The address tells in the API server's audit log who wrote; the host name tells in the Lease.
"""

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from operator_process import OperatorProcess
from simulated_cluster import API_SERVER_PORT, BRIDGE, BRIDGE_ADDRESS

PREFIX = "t2vbench"
NETWORK = "10.87.250"
"""Of the bridge's range; pods get theirs from its beginning."""


@dataclass(frozen=True)
class Candidate:
    """One process; the next one gets another name and address."""

    name: str
    network: str
    address: str
    process: OperatorProcess

    def is_ready(self) -> bool:
        return self.process.is_ready()

    def cut_off(self) -> None:
        """From the API server, without a word: packets are lost from now on."""
        self._filter("-A")

    def heal(self) -> None:
        self._filter("-D")

    def last_words(self) -> str:
        return self.process.log.read_text(errors="replace")[-500:]

    def _filter(self, change: str) -> None:
        port = str(API_SERVER_PORT)
        for chain, end in (("OUTPUT", "--dport"), ("INPUT", "--sport")):
            rule = [change, chain, "-p", "tcp", end, port, "-j", "DROP"]
            _run("ip", "netns", "exec", self.network, "iptables", "-w", *rule)


@contextmanager
def networks(
    kubeconfig: Path, config: Path, port: int, folder: Path
) -> Iterator[Callable[[], Candidate]]:
    """Something that starts candidates; all of them, and their networks, are gone afterwards.

    A network stays until then, also when its process has ended: what was on its way may arrive.
    """
    _remove_networks()
    inner = folder / "kubeconfig"
    inner.touch(mode=0o600)
    inner.write_text(_for_the_bridge(kubeconfig))
    numbers = itertools.count(1)
    started: list[Candidate] = []

    def launch() -> Candidate:
        number = next(numbers)
        network, address, name = f"{PREFIX}{number}", f"{NETWORK}.{number}", f"candidate-{number}"
        _add_network(network, address)
        # Each of these replaces itself by the next, so the process id stays.
        rename = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name)
        inside = (*rename, "ip", "netns", "exec", network)
        log = folder / f"{name}.log"
        process = OperatorProcess(config, inner, log, f"http://{address}:{port}", inside)
        started.append(Candidate(name, network, address, process))
        return started[-1]

    try:
        yield launch
    finally:
        for candidate in started:
            candidate.process.kill()
        _remove_networks()


def _for_the_bridge(kubeconfig: Path) -> str:
    document = yaml.safe_load(kubeconfig.read_text())
    for cluster in document["clusters"]:
        cluster["cluster"]["server"] = f"https://{BRIDGE_ADDRESS}:{API_SERVER_PORT}"
    return yaml.safe_dump(document)


def _add_network(name: str, address: str) -> None:
    _run("ip", "netns", "add", name)
    _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    _run("ip", "link", "set", name, "master", BRIDGE, "up")
    _run("ip", "-n", name, "address", "add", f"{address}/16", "dev", "eth0")
    for device in ("lo", "eth0"):
        _run("ip", "-n", name, "link", "set", device, "up")


def _remove_networks() -> None:
    """Also those that a killed run left."""
    listed = json.loads(_run("ip", "-json", "netns", "list") or "[]")
    for network in listed:
        if network["name"].startswith(PREFIX):
            _run("ip", "netns", "delete", network["name"])


def _run(*words: str) -> str:
    answer = subprocess.run(words, capture_output=True, text=True)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(words)}: {answer.stderr.strip()}")
    return answer.stdout

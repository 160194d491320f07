"""A one-node Kubernetes on this machine, as root, from package registries alone.

`up` reads as the story: packages, programs, identities, etcd, API server, the rest, the node.
"""

import hashlib
import json
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from harness import buildah, cleanup, components, etcd
from harness.audit import AuditEvent, read_audit_log
from harness.base_image import BASE_IMAGE, ensure_base_image
from harness.cluster import Cluster
from harness.commands import Words, run
from harness.debian_packages import install_missing_packages
from harness.errors import CommandError, HarnessError
from harness.go_programs import PROGRAMS, go_program
from harness.kernel_settings import remember_kernel_settings, restore_kernel_settings
from harness.layout import RUN, locked
from harness.network import BRIDGE_ADDRESS, add_bridge
from harness.pause_image import pause_archive
from harness.processes import Daemons
from harness.settings import write_settings
from harness.stopwatch import step
from harness.volumes import volume_documents
from harness.waiting import wait_until

DEFAULT_GPUS = 2
# Built before the cluster starts; the others of `go_programs` when first used.
_NEEDED = [*(name for name in components.PROGRAMS if name in PROGRAMS), "kubectl", "pause"]


class OneNodeCluster(Cluster):
    """Everything it starts, it records in one folder, so that any later process can stop it."""

    kubeconfig = RUN / "kubeconfigs" / "admin"
    context = "test"
    shares_files = True

    def __init__(self) -> None:
        self.daemons = Daemons(RUN / "processes")
        """What runs, by name; `down` ends whatever else was started here as well."""

    def up(self) -> None:
        with locked():
            self._prepare()
            if self.is_up() and self._runs_this_version():
                return
            if RUN.exists():
                with step("remove what an earlier cluster left"):
                    self._remove()
            self._start()

    def down(self) -> None:
        with locked(), step("stop the cluster"):
            self._remove()

    def prepare(self) -> None:
        """Fill the caches, also those that only some tests need, without starting anything."""
        with locked():
            self._prepare()
            ensure_base_image()
            for name in PROGRAMS:
                go_program(name)

    def is_up(self) -> bool:
        if not all(self.daemons.is_alive(name) for name in components.PROGRAMS):
            return False
        with suppress(CommandError, HarnessError):
            return self._node_is_ready()
        return False

    def build_image(
        self,
        dockerfile: Path,
        tag: str,
        build_args: Mapping[str, str] | None = None,
        context: Path | None = None,
        target: str | None = None,
    ) -> str:
        with locked():
            ensure_base_image()
            arguments = {"BASE": BASE_IMAGE, **(build_args or {})}
            with step(f"build image {tag}"):
                buildah.build(
                    dockerfile, tag, arguments, context or dockerfile.parent, target=target
                )
        return tag

    def load_image(self, tag: str) -> None:
        """An image that was loaded and did not change since is left alone."""
        identity = buildah.image_id(tag)
        if identity is None:
            raise HarnessError(f"there is no image {tag}: build it first")
        loaded = RUN / "images" / hashlib.sha256(tag.encode()).hexdigest()[:12]
        if loaded.exists() and loaded.read_text() == identity:
            return
        loaded.parent.mkdir(exist_ok=True)
        archive = loaded.with_suffix(".tar")
        with step(f"load image {tag}"):
            buildah.save(tag, archive)
            self._import(archive)
        archive.unlink()
        loaded.write_text(identity)

    def host_address(self) -> str:
        return BRIDGE_ADDRESS

    def logs(self) -> Path:
        """The folder with one log per program."""
        return self.daemons.folder

    def stop_program(self, name: str) -> None:
        """End one program of `components.PROGRAMS`, as a fault would, until `start_program`.

        Asked politely, the API server goes on for as long as anyone watches: it has a second.
        Meanwhile `is_up` says no, and `up` would start the whole cluster afresh.
        """
        _known(name)
        self.daemons.stop(name, timeout_seconds=1)

    def start_program(self, name: str) -> None:
        """Start it again, and return once it is well. Nothing happens when it runs."""
        command = _known(name)(RUN)
        if not self.daemons.is_alive(name):
            self._start_program(name, command)
        self._wait_for(name, lambda: _is_well(name))

    @contextmanager
    def without_program(self, name: str) -> Iterator[None]:
        """Inside the block the program does not run; afterwards it does, whatever happened."""
        self.stop_program(name)
        try:
            yield
        finally:
            self.start_program(name)

    def start_beside(self, name: str, command: components.Command) -> None:
        """Start a program that belongs to a test: `daemons.stop` ends it, or `down` at last."""
        self._start_program(name, command)

    def compact_etcd(self) -> int:
        """Make etcd forget all but its newest revision, which is returned; see `etcd.compact`."""
        return etcd.compact(components.ETCD_CLIENT_URL)

    def audit_events(self, since: datetime | None = None) -> list[AuditEvent]:
        """The requests that the API server answered, but for the cluster's own; see `audit`.

        `since` needs a time zone: `datetime.now(UTC)`.
        """
        events = read_audit_log(RUN / components.AUDIT_LOG)
        return [event for event in events if since is None or event.time >= since]

    def _prepare(self) -> None:
        install_missing_packages()
        for name in _NEEDED:
            go_program(name)
        pause_archive()

    def _start(self) -> None:
        RUN.mkdir(parents=True, mode=0o700)
        remember_kernel_settings(RUN / "kernel-settings.json")
        with step("make certificates and settings"):
            components.make_identities(RUN)
            write_settings(RUN)
        add_bridge()
        with step("start etcd and the API server"):
            self._start_program("containerd", components.containerd(RUN))
            self._start_program("etcd", components.etcd(RUN))
            self._start_program("kube-apiserver", components.kube_apiserver(RUN))
            self._import(pause_archive())
            self._wait_for("kube-apiserver", lambda: _is_well("kube-apiserver"))
        with step("start the other programs"):
            for name, command in components.CLIENTS_OF_THE_API_SERVER.items():
                self._start_program(name, command(RUN))
            self._wait_for("kubelet", self._node_is_ready)
            self._wait_for("kube-controller-manager", self._has_default_service_account)
            self.set_gpus(DEFAULT_GPUS)
            self.kubectl("apply", "-f", "-", stdin=volume_documents(RUN / "volumes"))
        (RUN / "version").write_text(_version())

    def _remove(self) -> None:
        """End the programs in the order that keeps each from mending what is being taken down."""
        if not RUN.exists():
            return
        for name in set(self.daemons.names()) - components.PROGRAMS.keys():
            self.daemons.stop(name)
        for name in reversed(components.CLIENTS_OF_THE_API_SERVER):
            self.daemons.stop(name)
        cleanup.kill_pods(RUN)
        for name in ("containerd", "kube-apiserver", "etcd"):
            self.daemons.stop(name)
        cleanup.remove_mounts(RUN)
        cleanup.remove_cgroups()
        cleanup.remove_network(RUN)
        restore_kernel_settings(RUN / "kernel-settings.json")
        cleanup.remove_folder(RUN)

    def _start_program(self, name: str, command: components.Command) -> None:
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(RUN),
        }
        self.daemons.start(name, command, environment, cwd=RUN)

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait for an answer of a program; at once an error when the program has ended."""

        def answered() -> bool:
            if not self.daemons.is_alive(name):
                raise HarnessError(f"{name} ended:\n{_tail(self.daemons.log(name))}")
            return ready()

        wait_until(answered, f"{name} is ready (its log: {self.daemons.log(name)})", 120)

    def _import(self, archive: Path) -> None:
        socket = RUN / "containerd.sock"
        self._wait_for("containerd", socket.exists)
        run(["ctr", "--address", socket, "-n", "k8s.io", "images", "import", archive])

    def _node_is_ready(self) -> bool:
        nodes: Words = ["nodes", f"--field-selector=metadata.name={components.NODE}"]
        path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
        return self.kubectl("get", *nodes, "-o", path, "--request-timeout=5s").strip() == "True"

    def _has_default_service_account(self) -> bool:
        accounts = json.loads(self.kubectl("get", "serviceaccounts", "-n", "default", "-o", "json"))
        return any(account["metadata"]["name"] == "default" for account in accounts["items"])

    def _runs_this_version(self) -> bool:
        with suppress(FileNotFoundError):
            return (RUN / "version").read_text() == _version()
        return False


def _version() -> str:
    """What the running programs were started from: their builds and their command lines."""
    commands = [" ".join(map(str, command(RUN))) for command in components.PROGRAMS.values()]
    return "\n".join([*(str(go_program(name)) for name in _NEEDED), *commands])


def _known(name: str) -> components.Program:
    if name not in components.PROGRAMS:
        raise HarnessError(f"{name} is no program of the cluster: {', '.join(components.PROGRAMS)}")
    return components.PROGRAMS[name]


def _is_well(name: str) -> bool:
    """What the program says of itself; one that says nothing is well while it runs."""
    if name not in components.HEALTH:
        return True
    # Some sign their own certificate anew at each start, and this is the machine itself.
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    url = components.HEALTH[name]
    with suppress(OSError), urllib.request.urlopen(url, context=anyone, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])

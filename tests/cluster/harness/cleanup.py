"""Remove what a one-node cluster leaves on the machine once its programs have ended."""

import os
import shutil
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

from harness.commands import run
from harness.errors import CommandError, HarnessError
from harness.network import join_pods, remove_addresses_for_pods, remove_bridge
from harness.waiting import wait_until

_OUR_CHAINS = ("KUBE-", "CNI-")
# Of kube-router.
_POLICY_CHAINS = ("KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-")
_POLICY_SETS = ("KUBE-SRC-", "KUBE-DST-", "TMP-")


def kill_pods(run_folder: Path) -> None:
    """End the containers by their shims, and with each shim its socket."""
    shims = _shims(run_folder)
    for pid in [*_containers(run_folder), *shims]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _shims(run_folder), "the containers' shims end", 20)
    for address in run_folder.glob("containerd/state/io.containerd.runtime.v2.task/*/*/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def remove_mounts(run_folder: Path) -> None:
    """Unmount everything below the folder, the deepest first."""
    for mount in sorted(_mounts(run_folder), key=len, reverse=True):
        with suppress(CommandError):
            run(["umount", "--lazy", mount])


def remove_policies() -> None:
    """Remove the rules and sets that enforce network policies; kube-proxy's stay untouched."""
    rules = run(["iptables-save", "-t", "filter"]).splitlines()
    marks = tuple(f":{prefix}" for prefix in _POLICY_CHAINS)
    chains = [line[1:].split()[0] for line in rules if line.startswith(marks)]
    outside = [line for line in rules if line.startswith("-A") and line.split()[1] not in chains]
    jumps = [line for line in outside if any(chain in line.split() for chain in chains)]
    steps = [
        *(f"-D{line.removeprefix('-A')}" for line in jumps),
        *(f"-F {chain}" for chain in chains),
        *(f"-X {chain}" for chain in chains),
    ]
    run(["iptables-restore", "--noflush"], stdin="\n".join(["*filter", *steps, "COMMIT", ""]))
    # The kernel lets go of a set a moment after the last rule that names it.
    wait_until(_policy_sets_are_gone, "the policies' sets are gone", 20)


def remove_network(run_folder: Path) -> None:
    with suppress(CommandError, FileNotFoundError):
        remove_policies()
    remove_addresses_for_pods()
    join_pods()
    remove_bridge()
    for program in ("iptables", "ip6tables"):
        _remove_chains(program)
    for result in Path("/var/lib/cni/results").glob("*"):
        # It names the pod's network namespace, which lies in our containerd's folder.
        if str(run_folder) in result.read_text():
            result.unlink()


def remove_cgroups() -> None:
    """Remove the pods' cgroups, in every hierarchy, the deepest first."""
    for parent in Path("/sys/fs/cgroup").rglob("kubepods"):
        folders = [Path(folder) for folder, _, _ in os.walk(parent, topdown=False)]
        wait_until(partial(_removed, folders), f"{parent} empties", 10)


def remove_folder(run_folder: Path) -> None:
    """Delete the folder; not while anything is mounted in it, which would be deleted as well."""
    still_mounted = _mounts(run_folder)
    if still_mounted:
        raise HarnessError(f"still mounted, so {run_folder} stays: {', '.join(still_mounted)}")
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(run_folder):
            link.unlink()
    shutil.rmtree(run_folder, ignore_errors=False)


def _shims(run_folder: Path) -> list[int]:
    """The shims of our containerd: they name its socket on their command line."""
    socket = str(run_folder / "containerd.sock")
    return [
        pid
        for pid, words in _command_lines()
        if words and "containerd-shim" in words[0] and socket in words
    ]


def _containers(run_folder: Path) -> list[int]:
    """The first process of each container; its end takes the rest of its pid namespace along."""
    files = run_folder.glob("containerd/state/io.containerd.runtime.v2.task/*/*/init.pid")
    shims = set(_shims(run_folder))
    return [pid for pid in (int(f.read_text()) for f in files) if _parent(pid) in shims]


def _command_lines() -> list[tuple[int, list[str]]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((int(folder.name), (folder / "cmdline").read_text().split("\0")))
    return found


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _mounts(run_folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if Path(point).is_relative_to(run_folder)]


def _remove_chains(program: str) -> None:
    """Take Kubernetes' chains, and the rules that lead to them, out of each table."""
    with suppress(CommandError, FileNotFoundError):
        rules = run([f"{program}-save"]).splitlines(keepends=True)
        others = [line for line in rules if not any(chain in line for chain in _OUR_CHAINS)]
        if others != rules:
            run([f"{program}-restore"], stdin="".join(others))


def _policy_sets_are_gone() -> bool:
    names = run(["ipset", "list", "-name"]).split()
    left = [name for name in names if name.startswith(_POLICY_SETS)]
    for name in left:
        with suppress(CommandError):
            run(["ipset", "destroy", name])
    return not left


def _removed(folders: list[Path]) -> bool:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
    return not any(folder.exists() for folder in folders)

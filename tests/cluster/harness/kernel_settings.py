"""Remember the kernel settings that Kubernetes' programs change, and put them back."""

import json
from contextlib import suppress
from pathlib import Path

# ip_forward: the CNI bridge; bridge and route_localnet: kube-proxy; the others: kubelet.
_NAMES = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def remember_kernel_settings(file: Path) -> None:
    file.write_text(json.dumps({name: _read(name) for name in _NAMES}))


def restore_kernel_settings(file: Path) -> None:
    """Write back only what differs; a setting that can't be written stays as it is."""
    if not file.exists():
        return
    for name, before in json.loads(file.read_text()).items():
        if before is not None and _read(name) != before:
            with suppress(OSError):
                Path("/proc/sys", name).write_text(before)


def _read(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text()
    except OSError:
        return None

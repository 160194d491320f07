"""Install the Debian packages that a one-node cluster needs, where they are missing."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness.commands import GENTLY, run
from harness.stopwatch import step

# A file that each package brings: cheaper to look for than to ask dpkg.
PACKAGES = {
    "containerd": "/usr/bin/containerd",
    "runc": "/usr/sbin/runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "conntrack": "/usr/sbin/conntrack",
    "iptables": "/usr/sbin/iptables",
    "ipset": "/usr/sbin/ipset",
    "iproute2": "/usr/sbin/ip",
    "socat": "/usr/bin/socat",
    "openssl": "/usr/bin/openssl",
    "buildah": "/usr/bin/buildah",
    "debootstrap": "/usr/sbin/debootstrap",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
}


def can_install() -> bool:
    """Whether this process may install Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_missing_packages(packages: Mapping[str, str] = PACKAGES) -> None:
    """Install what is missing of `packages`; nothing at all when all is there."""
    missing = [name for name, file in packages.items() if not Path(file).exists()]
    if not missing:
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"install {' '.join(missing)}"):
        run(["apt-get", "update", "-qq"], environment=quiet, timeout_seconds=600)
        run(
            [*GENTLY, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            environment=quiet,
            timeout_seconds=1800,
        )

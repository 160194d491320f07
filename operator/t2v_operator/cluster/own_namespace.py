"""Where this process runs."""

import contextlib
from pathlib import Path

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace() -> str:
    """The pod's; outside of a cluster, `default`."""
    with contextlib.suppress(OSError):
        return NAMESPACE_FILE.read_text().strip()
    return "default"

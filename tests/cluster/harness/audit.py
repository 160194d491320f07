"""The API server's audit log: who asked it for what, and how it answered.

Left out is what the cluster itself does all the time: nodes, scheduler and proxy, reads by the
controllers, status reports of nodes and pods, and paths that are no resource.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_DECISION = "authorization.k8s.io/decision"
_POD = "authentication.kubernetes.io/pod-name"
_CONTROLLERS = {"userGroups": ["system:serviceaccounts:kube-system"]}

# The first rule that fits decides.
POLICY: dict[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
    "rules": [
        {"level": "None", "nonResourceURLs": ["*"]},
        {"level": "None", "userGroups": ["system:nodes"]},
        {
            "level": "None",
            "users": [
                "system:apiserver",
                "system:kube-controller-manager",
                "system:kube-scheduler",
                "system:kube-proxy",
            ],
        },
        {"level": "None", "resources": [{"resources": ["nodes/status", "pods/status"]}]},
        {"level": "Metadata", **_CONTROLLERS, "verbs": ["delete"]},
        {
            "level": "Metadata",
            **_CONTROLLERS,
            "verbs": ["create", "update", "patch", "deletecollection"],
            "resources": [{"resources": ["pods"]}, {"group": "batch", "resources": ["jobs"]}],
        },
        {"level": "None", **_CONTROLLERS},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True)
class AuditEvent:
    """One request that was answered. For a watch, `time` is when it ended."""

    time: datetime
    user: str
    pod: str
    """Whose token was shown; empty for whoever is no pod."""
    user_agent: str
    verb: str
    group: str
    """The API group; empty for pods and the rest of the core."""
    resource: str
    subresource: str
    namespace: str
    name: str
    """Empty for lists, and where the server chose the name (`generateName`)."""
    status: int
    """The HTTP status."""
    is_forbidden: bool
    """No role allowed it. A 403 may also be a quota's, or a policy's."""
    uri: str


def read_audit_log(log: Path) -> Iterator[AuditEvent]:
    """Every event, the oldest first; a line that is being written is left for the next time."""
    with log.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                yield _event(json.loads(line))


def _event(entry: dict[str, Any]) -> AuditEvent:
    target = entry.get("objectRef", {})
    return AuditEvent(
        time=datetime.fromisoformat(entry["stageTimestamp"]),
        user=entry["user"].get("username", ""),
        pod=next(iter(entry["user"].get("extra", {}).get(_POD, ())), ""),
        user_agent=entry.get("userAgent", ""),
        verb=entry["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        status=entry.get("responseStatus", {}).get("code", 0),
        is_forbidden=entry.get("annotations", {}).get(_DECISION) == "forbid",
        uri=entry["requestURI"],
    )

"""What all pods of ours have in common: the restricted Pod Security Standard, and how they are
written down. Pure."""

from typing import Any

STOP_SECONDS = 15
"""The runner is gone within ten, whatever it does; more than that is the kubelet's own."""

CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
COMMON = {
    "restartPolicy": "Never",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "terminationGracePeriodSeconds": STOP_SECONDS,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}


def present(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, [], {}, ())}


def literal(json_line: str) -> str:
    """JSON in which a kubelet finds nothing to expand: "$(NAME)" in a value names a variable.

    A dollar sign can stand in JSON's strings only, and there has another spelling.
    """
    return json_line.replace("$", "\\u0024")

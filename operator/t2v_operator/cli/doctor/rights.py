"""Check what the operator and the user may do, by asking the API server for its verdict."""

import asyncio
from collections.abc import Sequence
from typing import Any

from t2v_api.resource import GROUP, PLURAL

from t2v_operator.cli.doctor.finding import Finding, fault, ok, warning
from t2v_operator.cli.doctor.installation import Installation

PLACE = "/apis/authorization.k8s.io/v1"
WORK: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (GROUP, PLURAL, ("get", "list", "watch", "patch")),
    (GROUP, f"{PLURAL}/status", ("update",)),
    ("batch", "jobs", ("get", "list", "watch", "create", "patch", "delete")),
    ("", "pods", ("list", "watch")),
    ("", "events", ("list", "create")),
)
"""Group, kind and verbs that the operator needs wherever it works."""


async def operators_rights(installation: Installation) -> Sequence[Finding]:
    """Those that a video needs from its resource to its Job; the chart gives them."""
    config = installation.config
    asked = [
        (namespace, group, kind, verb)
        for namespace in installation.namespaces
        for group, kind, verbs in WORK
        for verb in verbs
    ]
    lease_place = config.leader_election.namespace or installation.namespace
    asked.append((lease_place, "coordination.k8s.io", "leases", "create"))
    asked.append(("", "authentication.k8s.io", "tokenreviews", "create"))
    account = f"system:serviceaccount:{installation.namespace}:{installation.service_account}"
    groups = ["system:serviceaccounts", "system:authenticated"]
    who = {"user": account, "groups": [*groups, f"system:serviceaccounts:{installation.namespace}"]}
    allowed = await asyncio.gather(
        *(_may(installation, "subjectaccessreviews", who, *each) for each in asked)
    )
    missing = [
        f"{verb} {kind}{f' in {namespace}' if namespace else ''}"
        for (namespace, _, kind, verb), may in zip(asked, allowed, strict=True)
        if not may
    ]
    if missing:
        shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if missing[4:] else "")
        to_do = "`helm upgrade` makes the roles anew; are config.namespaces those of the roles?"
        return [fault("rbac", f"{account} may not {shown}", to_do)]
    return [ok("rbac", f"{installation.service_account} may do all that it has to")]


async def own_rights(installation: Installation) -> Sequence[Finding]:
    """Whether who asks may make and read videos in the namespace of the command."""
    namespace = installation.client.namespace
    verbs = ("get", "list", "watch", "create", "patch", "delete")
    allowed = await asyncio.gather(
        *(
            _may(installation, "selfsubjectaccessreviews", {}, namespace, GROUP, PLURAL, verb)
            for verb in verbs
        )
    )
    missing = [verb for verb, may in zip(verbs, allowed, strict=True) if not may]
    if missing:
        told = f"you may not {', '.join(missing)} {PLURAL} in {namespace}"
        to_do = "bind the cluster's role `edit` (to look: `view`) in the namespace"
        return [warning("your-rights", told, to_do)]
    return [ok("your-rights", f"you may make videos in {namespace}")]


async def _may(
    installation: Installation,
    review: str,
    who: dict[str, Any],
    namespace: str,
    group: str,
    kind: str,
    verb: str,
) -> bool:
    resource, _, part = kind.partition("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": part}
    if namespace:
        attributes["namespace"] = namespace
    kinds = {
        "subjectaccessreviews": "SubjectAccessReview",
        "selfsubjectaccessreviews": "SelfSubjectAccessReview",
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": kinds[review],
        "spec": {**who, "resourceAttributes": attributes},
    }
    answer = await installation.client.api.ask("POST", f"{PLACE}/{review}", None, body)
    return bool(answer["status"]["allowed"])

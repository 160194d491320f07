"""What the product's accounts may do, what they did, and what they were refused. No cluster here.

Told apart by verb and resource, not by namespace or name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.audit import AuditEvent

Document = dict[str, Any]


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource; a subresource stands behind a slash, as in a role."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


NEVER_SEEN = {
    # Needed to own something where the admission plugin OwnerReferencesPermissionEnforcement is on;
    # no request shows it.
    Right("update", "textto.video", "texttovideojobs/finalizers"),
    Right("update", "textto.video", "videomodels/finalizers"),
    # The audit log leaves out pods' statuses, of which kubelets write very many: test_faults.py.
    Right("patch", "", "pods/status"),
    # Where a Job is there that the cache has not seen.
    Right("get", "batch", "jobs"),
    # Where the report server's certificate is to end soon.
    Right("update", "", "secrets"),
}
"""Rights that no request of the suite uses, or shows."""


def granted(documents: Iterable[Document], account: str) -> set[Right]:
    """What roles among the documents give the service account, wherever."""
    documents = list(documents)
    roles = {_named(each): each.get("rules") or [] for each in documents}
    return {
        Right(verb, group, resource)
        for binding in documents
        if binding["kind"] in ("RoleBinding", "ClusterRoleBinding")
        and any(subject["name"] == account for subject in binding["subjects"])
        for rule in roles[_role_of(binding)]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(events: Iterable[AuditEvent], user: str) -> set[Right]:
    """What the user asked for and was allowed to ask for, whatever came of it."""
    return {_right(each) for each in events if each.user == user and not each.is_forbidden}


def refused(events: Iterable[AuditEvent], user: str) -> Mapping[Right, AuditEvent]:
    """What no role of the user's allowed, each with the last such request."""
    return {_right(each): each for each in events if each.user == user and each.is_forbidden}


def _right(event: AuditEvent) -> Right:
    path = (event.resource, event.subresource)
    return Right(event.verb, event.group, "/".join(part for part in path if part))


def _named(document: Document) -> tuple[str, str, str]:
    metadata = document["metadata"]
    namespace = "" if document["kind"].startswith("Cluster") else metadata.get("namespace", "")
    return document["kind"], namespace, metadata["name"]


def _role_of(binding: Document) -> tuple[str, str, str]:
    role = binding["roleRef"]
    namespace = "" if role["kind"] == "ClusterRole" else binding["metadata"]["namespace"]
    return role["kind"], namespace, role["name"]

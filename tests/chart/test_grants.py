"""How the audit of rights counts; the audit itself is the cluster suite's last test."""

from datetime import UTC, datetime
from typing import Any

from grants import Right, granted, refused, used
from harness.audit import AuditEvent

USER = "system:serviceaccount:t2v-system:video"


def an_event(verb: str, resource: str, subresource: str = "", **more: Any) -> AuditEvent:
    fields: dict[str, Any] = {
        "time": datetime.now(UTC),
        "user": USER,
        "pod": "",
        "user_agent": "",
        "verb": verb,
        "group": "batch",
        "resource": resource,
        "subresource": subresource,
        "namespace": "team-a",
        "name": "",
        "status": 200,
        "is_forbidden": False,
        "uri": f"/apis/batch/v1/{resource}",
    }
    return AuditEvent(**(fields | more))


def a_role(name: str, namespace: str = "", **verbs: list[str]) -> dict[str, Any]:
    rules = [
        {"apiGroups": ["batch"], "resources": [resource.replace("_", "/")], "verbs": of}
        for resource, of in verbs.items()
    ]
    kind = "Role" if namespace else "ClusterRole"
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": rules}


def a_binding(role: dict[str, Any], account: str = "video") -> dict[str, Any]:
    return {
        "kind": f"{role['kind']}Binding",
        "metadata": {"name": "a", "namespace": role["metadata"]["namespace"]},
        "roleRef": {"kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": account}],
    }


def test_an_account_has_what_the_roles_bound_to_it_give() -> None:
    mine = a_role("a", jobs=["get", "list"])
    also_mine = a_role("a", namespace="x", jobs_status=["update"])
    theirs, nobodys = a_role("b", jobs=["delete"]), a_role("c", jobs=["create"])
    bindings = [a_binding(mine), a_binding(also_mine), a_binding(theirs, "somebody")]
    assert granted([mine, also_mine, theirs, nobodys, *bindings], "video") == {
        Right("get", "batch", "jobs"),
        Right("list", "batch", "jobs"),
        Right("update", "batch", "jobs/status"),
    }


def test_what_was_answered_is_used_and_what_no_role_allows_is_refused() -> None:
    events = [
        an_event("get", "jobs", status=404),
        an_event("create", "jobs", status=403),
        an_event("update", "jobs", "status"),
        an_event("watch", "cronjobs", status=403, is_forbidden=True),
        an_event("delete", "jobs", user="alice"),
    ]
    assert used(events, USER) == {
        Right("get", "batch", "jobs"),
        Right("create", "batch", "jobs"),
        Right("update", "batch", "jobs/status"),
    }
    assert list(refused(events, USER)) == [Right("watch", "batch", "cronjobs")]
    assert str(Right("watch", "batch", "cronjobs")) == "watch cronjobs.batch"
    assert str(Right("get", "", "pods")) == "get pods"

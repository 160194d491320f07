"""What the operator's account may do in a real cluster, whoever holds its token."""

import copy
import json
from typing import Any

import pytest
from harness.errors import CommandError
from harness.waiting import wait_until
from installation import RELEASE, SYSTEM, Installation, Workspace, a_manifest
from t2v_operator.core.pod_template_patch import patched

from tests.admission.test_new_jobs import BAD, pod

Document = dict[str, Any]

OPERATOR = f"--as=system:serviceaccount:{SYSTEM}:{RELEASE}"
DRY = "--dry-run=server"
"""All but the last step, admission included."""
LABELLED_BY_THE_SERVER = {"no labels at all"}
"""The API server gives a Job without labels those of its pods, before policies see it."""
WORD_OF_THE_SERVERS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


@pytest.fixture(scope="module")
def made(workspace: Workspace) -> Document:
    """A Job that the operator has made, as it was before the API server filled it in."""
    workspace.apply(a_manifest("rights"))
    wait_until(lambda: workspace.children("jobs", "rights") != [], "there is a Job", 60)
    (job,) = workspace.children("jobs", "rights")
    job = copy.deepcopy(job)
    del job["status"], job["spec"]["selector"]
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        for name in WORD_OF_THE_SERVERS:
            metadata.pop(name, None)
        labels = {k: v for k, v in metadata["labels"].items() if "controller-uid" not in k}
        metadata["labels"] = {k: v for k, v in labels.items() if not k.endswith("job-name")}
    job["metadata"]["name"] = "rights-again"
    return job


def create(workspace: Workspace, job: Document, *words: str) -> str:
    return workspace.kubectl("create", "-f", "-", DRY, *words, stdin=json.dumps(job))


def refusal(workspace: Workspace, *words: str, stdin: str | None = None) -> str:
    with pytest.raises(CommandError) as refused:
        workspace.kubectl(*words, DRY, OPERATOR, stdin=stdin)
    return str(refused.value)


@pytest.fixture(scope="module", autouse=True)
def _in_force(workspace: Workspace, made: Document) -> None:
    """A policy takes a moment until every request meets it."""
    bad = patched(made, pod(hostNetwork=True))

    def is_refused() -> bool:
        try:
            create(workspace, bad, OPERATOR)
        except CommandError:
            return True
        return False

    wait_until(is_refused, "the policy is in force", 60)


def test_the_operator_makes_its_own_jobs(workspace: Workspace, made: Document) -> None:
    assert "rights-again created" in create(workspace, made, OPERATOR)


@pytest.mark.parametrize("name", sorted(BAD.keys() - LABELLED_BY_THE_SERVER))
def test_its_account_makes_no_other_job(workspace: Workspace, made: Document, name: str) -> None:
    patch, words = BAD[name]
    job = patched(made, patch)
    said = refusal(workspace, "create", "-f", "-", stdin=json.dumps(job))
    assert "ValidatingAdmissionPolicy" in said
    assert words in said


def test_somebody_else_makes_what_they_may(workspace: Workspace, made: Document) -> None:
    theirs = patched(made, {"metadata": {"labels": None, "ownerReferences": None}})
    theirs = patched(theirs, pod(hostNetwork=True, serviceAccountName="default"))
    assert "created" in create(workspace, theirs)


def test_its_account_leaves_alone_what_is_somebody_elses(
    workspace: Workspace, made: Document
) -> None:
    theirs = patched(
        made, {"metadata": {"name": "theirs", "labels": None, "ownerReferences": None}}
    )
    workspace.kubectl("create", "-f", "-", stdin=json.dumps(theirs))
    patch = json.dumps({"spec": {"backoffLimit": 1}})
    for words in (
        ("delete", "job", "theirs", "--wait=false"),
        ("patch", "job", "theirs", "--type=merge", "-p", patch),
        ("delete", "pod", "reader", "--wait=false"),
    ):
        assert "change this one under another account" in refusal(workspace, *words)
    workspace.kubectl("delete", "job", "theirs")


def test_its_account_never_rewrites_what_was_asked_for(workspace: Workspace) -> None:
    patch = json.dumps({"spec": {"prompt": "something else"}})
    said = refusal(workspace, "patch", "t2v", "rights", "--type=merge", "-p", patch)
    assert "never writes them" in said
    note = json.dumps({"metadata": {"annotations": {"a": "b"}}})
    words = ("patch", "t2v", "rights", "--type=merge", "-p", note, DRY, OPERATOR)
    assert "rights patched" in workspace.kubectl(*words)


def test_the_operator_works_under_its_policies(workspace: Workspace) -> None:
    workspace.wait_for_phase("rights", "Succeeded", seconds=300)


def test_the_api_server_finds_nothing_to_warn_of(installation: Installation) -> None:
    selector = f"app.kubernetes.io/instance={RELEASE}"
    kind = "validatingadmissionpolicies"

    def policies() -> list[Document]:
        found = installation.cluster.kubectl("get", kind, "-l", selector, "-o", "json")
        items: list[Document] = json.loads(found)["items"]
        return items

    def are_checked() -> bool:
        return all(each.get("status", {}).get("observedGeneration") for each in policies())

    wait_until(are_checked, "the policies are checked", 60)
    warnings = [each["status"].get("typeChecking", {}) for each in policies()]
    assert len(warnings) == 4
    assert not any(each.get("expressionWarnings") for each in warnings)

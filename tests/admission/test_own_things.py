"""What of others the operator's account may change or delete: nothing, says the API server."""

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.admission.policies import Document, a_request, judged, rendered, warnings
from tests.admission.test_new_jobs import a_fetching_job, a_video_job


def refusal(operation: str, new: Document | None, old: Document | None, **more: Any) -> str:
    """What the API server says; nothing where it has no objection."""
    (messages,) = judged([a_request(operation, new, old, **more)])
    return messages[0] if messages else ""


def changed(document: Document, **spec: Any) -> Document:
    made = copy.deepcopy(document)
    made["spec"] |= spec
    return made


def a_pod(of: str = "Job", **labels: str) -> Document:
    owner = {"apiVersion": "batch/v1", "kind": of, "name": "a", "uid": "u", "controller": True}
    named = {label.replace("_", "/"): value for label, value in labels.items()}
    metadata = {"name": "a-1", "namespace": "team-a", "labels": named, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}


OURS = {"textto.video_job": "a"}


@pytest.mark.parametrize("job", [a_video_job(), a_fetching_job()], ids=["video", "model"])
def test_a_job_of_its_own_is_changed_and_deleted(job: Document) -> None:
    noted = copy.deepcopy(job)
    noted["metadata"]["annotations"] = {"textto.video/applied": "{}"}
    assert refusal("UPDATE", changed(noted, suspend=True, backoffLimit=0), job) == ""
    assert refusal("DELETE", None, job) == ""


def test_a_job_of_somebody_else_is_neither() -> None:
    theirs = a_video_job()
    theirs["metadata"] |= {"labels": {"app": "x"}, "ownerReferences": []}
    labelled = copy.deepcopy(a_video_job())
    labelled["metadata"]["ownerReferences"] = []
    owned = copy.deepcopy(a_video_job())
    owned["metadata"]["labels"] = {}
    for job in (theirs, labelled, owned):
        for attempt in (("UPDATE", changed(job, suspend=True)), ("DELETE", None)):
            assert "change this one under another account" in refusal(*attempt, job)


def test_somebody_elses_job_does_not_become_its_own() -> None:
    theirs = a_video_job()
    theirs["metadata"] |= {"labels": {}, "ownerReferences": []}
    assert "change this one under another account" in refusal("UPDATE", a_video_job(), theirs)


def test_the_pods_of_a_job_stay_as_they_are() -> None:
    job = a_video_job()
    other = copy.deepcopy(job)
    other["spec"]["template"]["spec"]["serviceAccountName"] = "deployer"
    assert "never changes a Job's pod template" in refusal("UPDATE", other, job)
    given_away = copy.deepcopy(job)
    given_away["metadata"]["ownerReferences"][0]["name"] = "another"
    assert "never changes a Job's pod template or owner" in refusal("UPDATE", given_away, job)


def test_of_pods_only_those_of_its_jobs_are_given_up() -> None:
    ours = a_pod(**OURS)
    assert refusal("DELETE", None, ours) == ""
    assert refusal("UPDATE", ours, ours, subresource="status") == ""
    for theirs in (a_pod(app="x"), a_pod(of="ReplicaSet", **OURS)):
        assert "under another account" in refusal("DELETE", None, theirs)
        assert "under another account" in refusal("UPDATE", theirs, theirs, subresource="status")


@pytest.mark.parametrize("kind", ["TextToVideoJob", "VideoModel"])
def test_what_is_asked_for_is_never_rewritten(kind: str) -> None:
    metadata = {"name": "a", "namespace": "team-a"}
    document = {"apiVersion": "textto.video/v1alpha1", "kind": kind, "metadata": metadata}
    asked = document | {"spec": {"prompt": "a circle"}}
    noted = asked | {"metadata": metadata | {"finalizers": ["textto.video/output"]}}
    other = asked | {"spec": {"prompt": "a square"}}
    assert refusal("UPDATE", noted, asked) == ""
    for written in (other, document):
        assert "never writes them" in refusal("UPDATE", written, asked)
    assert refusal("UPDATE", other, asked, user="alice") == ""


def a_secret(name: str = "video-webhooks", **fields: Any) -> Document:
    metadata = {"name": name, "namespace": "t2v-system"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", **fields}


def test_it_makes_its_own_secrets() -> None:
    certificate = a_secret("video-report", type="kubernetes.io/tls")
    made = [a_secret(), a_secret("video-store"), a_secret("video-gateway"), certificate]
    assert judged([a_request("CREATE", each) for each in made]) == [[]] * 4
    labelled = a_secret("video-report", type="kubernetes.io/tls")
    labelled["metadata"]["labels"] = {"team": "platform"}
    renewed = labelled | {"data": {"tls.crt": "eA=="}}
    assert refusal("UPDATE", renewed, labelled) == ""


OF_AN_ACCOUNT = {"kubernetes.io/service-account.name": "default"}
TOKEN = a_secret(type="kubernetes.io/service-account-token")
TOKEN["metadata"]["annotations"] = OF_AN_ACCOUNT
KEY = a_secret()
KEY["metadata"]["labels"] = {"textto.video/api-key": "0123"}


@pytest.mark.parametrize(
    "secret", [TOKEN, a_secret("key-1"), KEY], ids=["a token", "another name", "an API key"]
)
def test_it_makes_no_secret_that_is_a_right(secret: Document) -> None:
    assert "its own Secrets alone" in refusal("CREATE", secret, None)
    assert judged([a_request("CREATE", secret, user="alice")]) == [[]]


def test_the_api_server_finds_nothing_to_warn_of(tmp_path: Path) -> None:
    cache = {"kind": "hostPath", "path": "/var/lib/models"}
    assert warnings(rendered()) == []
    assert warnings(rendered(config={"modelCache": cache})) == []
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(rendered().read_text().replace("oldObject.metadata", "oldObject.metdata"))
    assert "undefined field 'metdata'" in warnings(wrong)[0]

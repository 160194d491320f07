"""The chart's life: upgraded while videos are made, installed anew where the CRDs were kept.

See docs/design/whose-crd.md.
"""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from earlier_version import CHART_BEFORE, image_before
from harness.errors import CommandError
from installation import (
    CHART,
    LONG,
    RELEASE,
    ROOT,
    SYSTEM,
    Document,
    Installation,
    Workspace,
    a_manifest,
    restrict,
)
from t2v_operator.crd import CUSTOM_KINDS, DIGEST, custom_resource_definition

OTHER, ELSEWHERE = "films", "t2v-films"
"""Another release, in another namespace."""
CRDS = [of.name for of in CUSTOM_KINDS]


@pytest.fixture
def values(tmp_path: Path) -> Path:
    return tmp_path / "values.json"


@pytest.fixture
def as_before(installation: Installation, values: Path, tmp_path: Path) -> Iterator[Installation]:
    """The installation, of the version before; the test may upgrade it, and afterwards it is."""
    image = image_before(installation.cluster, tmp_path)
    install_before(installation, values, image)
    yield installation
    installation.upgrade(values)


def install_before(installation: Installation, values: Path, image: str) -> None:
    """Flags: the CRDs may have been given to another release by a test before."""
    document = installation.values()
    repository, tag = image.rsplit(":", 1)
    document["image"] |= {"repository": repository, "tag": tag}
    values.write_text(json.dumps(document))
    installation.cluster.helm(
        *("upgrade", "--install", RELEASE, CHART_BEFORE, "--namespace", SYSTEM),
        *("--take-ownership", "--force-conflicts"),
        *("--values", values, "--wait", "--timeout", "3m"),
    )


def install_other(installation: Installation, values: Path, *words: str) -> str:
    """The chart under another name, in another namespace."""
    restrict(installation.cluster, ELSEWHERE)
    values.write_text(json.dumps(installation.values()))
    return installation.cluster.helm(
        *("install", OTHER, CHART, "--namespace", ELSEWHERE, *words),
        *("--values", values, "--wait", "--timeout", "3m"),
    )


@contextmanager
def without_the_release(installation: Installation, values: Path) -> Iterator[None]:
    """As after `helm uninstall`: the CRDs and the videos are there, and nobody works."""
    installation.cluster.helm("uninstall", RELEASE, "--namespace", SYSTEM, "--wait")
    try:
        yield
    finally:
        installation.cluster.helm(
            "uninstall", OTHER, "--namespace", ELSEWHERE, "--wait", "--ignore-not-found"
        )
        installation.cluster.kubectl("delete", "namespace", ELSEWHERE, "--ignore-not-found")
        installation.upgrade(values)


def crd(installation: Installation, name: str) -> Document:
    found: Document = json.loads(installation.cluster.kubectl("get", "crd", name, "-o", "json"))
    return found


def owner(installation: Installation, name: str) -> tuple[str, str]:
    annotations = crd(installation, name)["metadata"]["annotations"]
    return (
        annotations["meta.helm.sh/release-name"],
        annotations["meta.helm.sh/release-namespace"],
    )


def assert_one_run(workspace: Workspace, name: str, uid: str | None = None) -> Document:
    """A video, by one Job and one pod: `uid` where the Job was there before."""
    status = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
    assert status["phase"] == "Succeeded", status["message"]
    (job,) = workspace.children("jobs", name)
    assert uid in (None, job["metadata"]["uid"])
    assert len(workspace.children("pods", name)) == 1
    assert len(status["attempts"]) == 1
    assert workspace.file(status["outputUrl"])[4:8] == b"ftyp"
    return status


def test_an_upgrade_loses_no_video_and_changes_none(
    as_before: Installation, workspace: Workspace, values: Path
) -> None:
    workspace.apply(a_manifest("life-done"))
    done = workspace.wait_for_phase("life-done", "Succeeded")
    spec_before = workspace.get("life-done")["spec"]
    workspace.apply(a_manifest("life-running", seed=2, **LONG))
    workspace.wait_for_phase("life-running", "Running")
    workspace.apply(a_manifest("life-held", seed=3, suspend=True))
    workspace.wait_for_phase("life-held", "Suspended")
    (job,) = workspace.children("jobs", "life-running")

    as_before.upgrade(values)

    for of in CUSTOM_KINDS:
        digest = custom_resource_definition(of)["metadata"]["annotations"][DIGEST]
        assert crd(as_before, of.name)["metadata"]["annotations"][DIGEST] == digest
    assert_one_run(workspace, "life-running", job["metadata"]["uid"])
    workspace.patch("life-held", suspend=False)
    assert_one_run(workspace, "life-held")
    # What was finished is read as it was, and what the new schema added stays open.
    assert workspace.get("life-done")["spec"] == spec_before
    assert unchanged(workspace.status("life-done"), done)
    assert len(workspace.children("jobs", "life-done")) <= 1
    assert workspace.file(done["outputUrl"])[4:8] == b"ftyp"


def unchanged(status: Any, before: Any) -> bool:
    """Whether all that was said is said still; a new version may say more."""
    if isinstance(before, dict):
        return all(unchanged(status.get(name), value) for name, value in before.items())
    if isinstance(before, list):
        return len(status) == len(before) and all(map(unchanged, status, before))
    return bool(status == before)


def test_kept_crds_do_not_block_another_release(
    installation: Installation, workspace: Workspace, values: Path
) -> None:
    # Whoever has them after the tests before, the release has them now.
    take(installation, RELEASE, SYSTEM)
    workspace.apply(a_manifest("life-kept", seed=4))
    kept = workspace.wait_for_phase("life-kept", "Succeeded")
    with without_the_release(installation, values):
        workspace.apply(a_manifest("life-waiting", seed=5))
        notes = install_other(installation, values)
        assert f"belongs to the release {RELEASE} in the namespace {SYSTEM}" in notes
        assert_one_run(workspace, "life-waiting")
        assert unchanged(workspace.status("life-kept"), kept)
        assert {owner(installation, name) for name in CRDS} == {(RELEASE, SYSTEM)}
    assert unchanged(workspace.status("life-kept"), kept)


def test_older_crds_are_refused_and_taken_over_as_the_message_says(
    as_before: Installation, workspace: Workspace, values: Path
) -> None:
    workspace.apply(a_manifest("life-older", seed=6))
    older = workspace.wait_for_phase("life-older", "Succeeded")
    with without_the_release(as_before, values):
        with pytest.raises(CommandError, match=f"belongs to the release {RELEASE}") as refusal:
            install_other(as_before, values)
        lines = (line.strip() for line in str(refusal.value).splitlines())
        for command in [line for line in lines if line.startswith("kubectl ")]:
            as_before.cluster.kubectl(*shlex.split(command)[1:])
        install_other(as_before, values)
        for of in CUSTOM_KINDS:
            digest = custom_resource_definition(of)["metadata"]["annotations"][DIGEST]
            assert crd(as_before, of.name)["metadata"]["annotations"][DIGEST] == digest
            assert owner(as_before, of.name) == (OTHER, ELSEWHERE)
        assert unchanged(workspace.status("life-older"), older)
    # What another release has now is left to it by ours.
    assert {owner(as_before, name) for name in CRDS} == {(OTHER, ELSEWHERE)}
    take(as_before, RELEASE, SYSTEM)
    assert unchanged(workspace.status("life-older"), older)


def take(installation: Installation, release: str, namespace: str) -> None:
    """As docs/two-installations.md says."""
    installation.cluster.kubectl(
        *("annotate", "crd", *CRDS, "--overwrite"),
        f"meta.helm.sh/release-name={release}",
        f"meta.helm.sh/release-namespace={namespace}",
    )


def test_an_api_server_takes_the_kustomization(installation: Installation) -> None:
    applied = installation.cluster.kubectl(
        "apply", "-k", str(ROOT / "config" / "default"), "--dry-run=server"
    )
    for kind in ("namespace", "deployment.apps", "statefulset.apps", "customresourcedefinition"):
        assert kind in applied


def test_helm_test_tells_a_working_release_from_one_that_is_not(
    installation: Installation, values: Path
) -> None:
    # The release before may have been made without the test's hooks.
    installation.upgrade(values)
    words = ("test", RELEASE, "--namespace", SYSTEM, "--timeout", "2m")
    said = installation.cluster.helm(*words)
    assert "Succeeded" in said
    installation.stop()
    try:
        with pytest.raises(CommandError):
            installation.cluster.helm(*words)
        log = installation.kubectl("logs", f"{RELEASE}-test")
        assert "FAILED: the operator is ready" in log
        assert "ok: a video would be admitted" in log
    finally:
        installation.start()
    left = installation.cluster.helm(*words)
    assert "Succeeded" in left
    assert installation.kubectl("get", "pods,roles", "-o", "name").count(f"{RELEASE}-test") == 0

"""What goes wrong around a video, and what becomes of it: none is lost, none is made twice."""

import json
import subprocess
import time

from harness.go_programs import go_program
from harness.one_node import OneNodeCluster
from harness.waiting import wait_until
from installation import Document, Installation, Workspace
from simulated_videos import a_simulated_manifest, end_pod, running_pod


def jobs(workspace: Workspace, name: str) -> list[Document]:
    return workspace.children("jobs", name)


def reason(status: Document) -> str:
    """Empty until an operator has said something."""
    return next((str(each["reason"]) for each in status.get("conditions", ())), "")


def condition(status: Document, kind: str) -> str:
    return next(str(each["status"]) for each in status["conditions"] if each["type"] == kind)


def kstatus(resource: Document) -> str:
    """What kstatus's own library makes of it, as Flux and kubectl wait see it."""
    answer = subprocess.run(
        [go_program("kstatus")], input=json.dumps(resource), text=True, capture_output=True
    )
    assert answer.returncode == 0, answer.stderr
    return str(json.loads(answer.stdout)["status"])


def test_a_complete_job_whose_pod_is_gone_is_a_video(
    installation: Installation, workspace: Workspace, simulated: OneNodeCluster
) -> None:
    workspace.apply(a_simulated_manifest("podless"))
    workspace.wait_for_phase("podless", "Running")
    installation.stop()
    end_pod(workspace, "podless")
    wait_until(
        lambda: jobs(workspace, "podless")[0]["status"].get("succeeded") == 1, "complete", 60
    )
    workspace.kubectl("delete", "pods", "-l", "textto.video/job=podless")
    installation.start()
    status = workspace.wait_for_phase("podless", "Succeeded", "Failed")
    assert status["phase"] == "Succeeded", status["message"]
    assert status["outputUrl"].endswith("/video.mp4")
    assert status["resolved"]["seed"] == 1
    assert "'timings'" in status["message"]


def test_a_status_that_is_lost_after_the_job_comes_back_without_a_gpu(
    workspace: Workspace, simulated: OneNodeCluster
) -> None:
    manifest = a_simulated_manifest("lost", ttlSecondsAfterFinished=0)
    del manifest["spec"]["seed"]
    workspace.apply(manifest)
    end_pod(workspace, "lost")
    before = workspace.wait_for_phase("lost", "Succeeded", "Failed")
    workspace.wait_for("lost", lambda _: not jobs(workspace, "lost"), "without its Job")

    def comes_back() -> None:
        after = workspace.wait_for_phase("lost", "Succeeded", "Failed", seconds=30)
        for field in ("phase", "outputUrl", "output", "resolved", "video", "generationTime"):
            assert after[field] == before[field], field
        time.sleep(2)
        assert jobs(workspace, "lost") == []

    empty = json.dumps({"status": None})
    workspace.kubectl("patch", "t2v", "lost", "--subresource=status", "--type=merge", "-p", empty)
    comes_back()

    backup = workspace.get("lost")
    del backup["status"]
    for field in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        backup["metadata"].pop(field, None)
    workspace.kubectl("delete", "t2v", "lost")
    workspace.kubectl("create", "-f", "-", stdin=json.dumps(backup))
    comes_back()


def test_evictions_end_at_their_limit(workspace: Workspace, simulated: OneNodeCluster) -> None:
    workspace.apply(a_simulated_manifest("evicted", maxDisruptions=1))
    for _ in range(2):
        pod = running_pod(workspace, "evicted")
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": workspace.namespace},
        }
        path = f"/api/v1/namespaces/{workspace.namespace}/pods/{pod}/eviction"
        workspace.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
        wait_until(lambda gone=pod: gone not in _alive(workspace, "evicted"), f"{pod} is gone", 60)
    status = workspace.wait_for_phase("evicted", "Failed")
    assert reason(status) == "Disrupted"
    assert "maxDisruptions is 1" in status["message"]
    assert status["disruptions"] == 2
    workspace.wait_for("evicted", lambda _: not jobs(workspace, "evicted"), "without its Job")


def test_a_pod_of_a_lost_node_is_told_and_replaced(
    workspace: Workspace, simulated: OneNodeCluster
) -> None:
    workspace.apply(a_simulated_manifest("stranded", backoffLimit=0))
    pod = running_pod(workspace, "stranded")
    # Nobody reports for the node any more.
    with simulated.daemons.frozen("kwok"):
        workspace.wait_for(
            "stranded", lambda status: reason(status) == "NodeLost", "told as lost", seconds=120
        )
        workspace.wait_for(
            "stranded", lambda _: pod not in _alive(workspace, "stranded"), "rid of its pod"
        )
    end_pod(workspace, "stranded")
    status = workspace.wait_for_phase("stranded", "Succeeded", "Failed")
    assert status["phase"] == "Succeeded", status["message"]
    assert [each.get("reason") for each in status["attempts"]] == ["NodeLost", None]


def test_a_missing_claim_fails_within_the_start_deadline(
    workspace: Workspace, simulated: OneNodeCluster
) -> None:
    bare = Workspace(workspace.cluster, f"{workspace.namespace[:12]}-bare")
    bare.cluster.kubectl("create", "namespace", bare.namespace)
    try:
        bare.apply(a_simulated_manifest("unclaimed"))
        status = bare.wait_for_phase("unclaimed", "Failed", "Succeeded", seconds=90)
        assert reason(status) == "StartDeadlineExceeded"
        assert 'persistentvolumeclaim "videos" not found' in status["message"]
        bare.wait_for("unclaimed", lambda _: not jobs(bare, "unclaimed"), "rid of its Job")
    finally:
        bare.cluster.kubectl("delete", "namespace", bare.namespace, timeout_seconds=180)


def test_a_full_quota_is_waited_for(workspace: Workspace, simulated: OneNodeCluster) -> None:
    tight = Workspace(workspace.cluster, f"{workspace.namespace[:12]}-tight")
    tight.cluster.kubectl("create", "namespace", tight.namespace)
    try:
        tight.kubectl("create", "quota", "no-jobs", "--hard=count/jobs.batch=0")
        tight.apply(a_simulated_manifest("patient"))
        status = tight.wait_for(
            "patient", lambda status: reason(status) == "QuotaExceeded", "told", seconds=60
        )
        assert condition(status, "Stalled") == "False"
        assert condition(status, "Reconciling") == "True"
        assert kstatus(tight.get("patient")) == "InProgress"
        tight.kubectl("delete", "quota", "no-jobs")
        tight.wait_for("patient", lambda _: bool(jobs(tight, "patient")), "with a Job", seconds=90)
    finally:
        tight.cluster.kubectl("delete", "namespace", tight.namespace, timeout_seconds=180)


def test_an_edit_waits_until_the_earlier_pod_is_gone(
    workspace: Workspace, simulated: OneNodeCluster
) -> None:
    workspace.apply(a_simulated_manifest("edited"))
    first = running_pod(workspace, "edited")
    (earlier,) = jobs(workspace, "edited")
    # The pod stays as long as this finalizer does.
    holds = json.dumps(
        {"metadata": {"finalizers": ["example.com/hold", *_tracking(workspace, first)]}}
    )
    workspace.kubectl("patch", "pod", first, "--type=merge", "-p", holds)
    workspace.patch("edited", prompt="a large blue circle moving right")
    workspace.wait_for(
        "edited", lambda status: reason(status) == "RequestChanged", "removing its earlier Job"
    )
    time.sleep(3)
    assert [job["metadata"]["uid"] for job in jobs(workspace, "edited")] == [
        earlier["metadata"]["uid"]
    ]
    let_go = json.dumps({"metadata": {"finalizers": None}})
    workspace.kubectl("patch", "pod", first, "--type=merge", "-p", let_go)
    end_pod(workspace, "edited")
    status = workspace.wait_for_phase("edited", "Succeeded", "Failed")
    assert "blue" in status["resolved"]["prompt"]


def test_kstatus_takes_a_resource_for_done_only_when_it_is(
    installation: Installation, workspace: Workspace, simulated: OneNodeCluster
) -> None:
    installation.stop()
    workspace.apply(a_simulated_manifest("seen"))
    assert kstatus(workspace.get("seen")) == "InProgress"
    installation.start()
    workspace.wait_for_phase("seen", "Running")
    assert kstatus(workspace.get("seen")) == "InProgress"
    end_pod(workspace, "seen")
    workspace.wait_for_phase("seen", "Succeeded", "Failed")
    assert kstatus(workspace.get("seen")) == "Current"
    workspace.apply(a_simulated_manifest("refused", pool="nowhere"))
    workspace.wait_for_phase("refused", "Failed")
    assert kstatus(workspace.get("refused")) == "Failed"


def _alive(workspace: Workspace, name: str) -> list[str]:
    """Its pods that have not come to an end."""
    return [
        pod["metadata"]["name"]
        for pod in workspace.children("pods", name)
        if pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]


def _tracking(workspace: Workspace, pod: str) -> list[str]:
    found = json.loads(workspace.kubectl("get", "pod", pod, "-o", "json"))
    return list(found["metadata"].get("finalizers", []))

"""Videos in a Kueue queue: real Kueue, simulated GPUs."""

import json
import time
from collections.abc import Iterator

import pytest
from harness.errors import CommandError
from harness.one_node import OneNodeCluster
from harness.simulated_nodes import simulated_nodes
from harness.waiting import wait_until
from installation import Document, Installation, Workspace, a_manifest
from kueue import BATCH, QUEUE, URGENT, KueueInstallation
from simulated_videos import a_simulated_manifest, a_simulated_pool, end_pod, running_pod


@pytest.fixture(scope="module")
def kueue(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KueueInstallation]:
    """Kueue with a quota of one GPU, and an operator that uses it."""
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("simulated nodes need a one-node cluster of the harness")
    values = tmp_path_factory.mktemp("chart") / "values.json"
    installed = KueueInstallation(cluster)
    installed.install(gpus=1)
    try:
        with (
            simulated_nodes(cluster, run_seconds=None),
            installation.configured(
                values, pools=[{"name": "default"}, a_simulated_pool()], kueue={"enabled": True}
            ),
        ):
            yield installed
    finally:
        installed.uninstall()


@pytest.fixture(scope="module")
def films(kueue: KueueInstallation) -> Iterator[Workspace]:
    """A namespace that Kueue manages, with the claim for videos."""
    made = Workspace(kueue.cluster, "films-in-a-queue")
    kueue.manage(made.namespace)
    made.prepare_claims()
    yield made
    made.kubectl("delete", "t2v", "--all")
    made.remove()


def in_queue(name: str, **spec: object) -> Document:
    return a_simulated_manifest(name, **{"queueName": QUEUE, **spec})


def reason(status: Document) -> str:
    """Empty until an operator has said something."""
    return next((str(each["reason"]) for each in status.get("conditions", ())), "")


def pods_ever(workspace: Workspace, name: str) -> int:
    """How many pods the Job controller made, by the Job's own Events."""
    events = json.loads(workspace.kubectl("get", "events", "-o", "json"))["items"]
    return sum(
        event.get("count") or 1
        for event in events
        if event["reason"] == "SuccessfulCreate"
        and event["involvedObject"]["name"].startswith(f"{name}-")
    )


def test_over_quota_waits_with_kueues_words_and_runs_when_admitted(films: Workspace) -> None:
    films.apply(in_queue("first"))
    running_pod(films, "first")
    films.apply(in_queue("second"))
    status = films.wait_for(
        "second",
        lambda status: "insufficient unused quota" in status.get("message", ""),
        "told why it waits",
    )
    assert (status["phase"], reason(status)) == ("Queued", "WaitingInQueue")
    assert f"waits in queue {QUEUE}" in status["message"]

    films.patch("second", trackId="edited while held")
    films.wait_for(
        "second", lambda status: status["observedGeneration"] == 2, "seen in its generation"
    )
    time.sleep(2)
    (job,) = films.children("jobs", "second")
    assert job["spec"]["suspend"] is True
    assert pods_ever(films, "second") == 0

    with pytest.raises(CommandError, match="queueName cannot change"):
        films.patch("second", queueName="another")

    end_pod(films, "first")
    end_pod(films, "second")
    for name in ("first", "second"):
        assert films.wait_for_phase(name, "Succeeded", "Failed")["phase"] == "Succeeded"


def test_what_is_preempted_is_told_and_run_again(films: Workspace) -> None:
    films.apply(in_queue("patient", priorityClassName=BATCH))
    running_pod(films, "patient")
    films.apply(in_queue("hurried", priorityClassName=URGENT))
    films.wait_for("patient", lambda status: reason(status) == "Preempted", "told as preempted")
    end_pod(films, "hurried")
    assert films.wait_for_phase("hurried", "Succeeded", "Failed")["phase"] == "Succeeded"
    end_pod(films, "patient")
    status = films.wait_for_phase("patient", "Succeeded", "Failed")
    assert status["phase"] == "Succeeded", status["message"]
    assert status["disruptions"] == 0


def test_a_preempted_video_goes_on_where_it_was(films: Workspace) -> None:
    late = 10
    # Kueue takes some seconds to preempt it.
    long = {"width": 96, "height": 96, "numInferenceSteps": 200}
    films.apply(a_manifest("half-drawn", queueName=QUEUE, priorityClassName=BATCH, **long))
    films.wait_for(
        "half-drawn", lambda seen: seen.get("progress", {}).get("step", 0) >= late, "on its way"
    )
    films.apply(in_queue("more-hurried", priorityClassName=URGENT))
    films.wait_for("half-drawn", lambda seen: reason(seen) == "Preempted", "told as preempted")
    end_pod(films, "more-hurried")
    status = films.wait_for_phase("half-drawn", "Succeeded", "Failed", seconds=400)
    assert status["phase"] == "Succeeded", status["message"]
    assert status["attempts"][-1]["resumedStep"] >= late


def test_a_priority_that_is_not_there_is_told(films: Workspace) -> None:
    films.apply(in_queue("unknown", priorityClassName="no-such-class"))
    status = films.wait_for(
        "unknown", lambda status: bool(status.get("conditions")), "told about its priority"
    )
    assert reason(status) == "QueueNotAvailable"
    assert "no-such-class" in status["message"]
    assert films.children("jobs", "unknown") == []
    films.kubectl("delete", "t2v", "unknown")


def test_an_admitted_video_is_suspended_and_goes_on(
    films: Workspace, kueue: KueueInstallation
) -> None:
    films.apply(in_queue("paused"))
    running_pod(films, "paused")
    films.patch("paused", suspend=True)
    films.wait_for(
        "paused",
        lambda status: status["phase"] == "Suspended" and not films.children("pods", "paused"),
        "suspended, without a pod",
    )
    time.sleep(3)
    assert films.children("pods", "paused") == [], "Kueue does not undo it"
    # Its place in the queue is free meanwhile.
    films.apply(in_queue("between"))
    end_pod(films, "between")
    films.wait_for_phase("between", "Succeeded", "Failed")
    films.patch("paused", suspend=False)
    end_pod(films, "paused")
    assert films.wait_for_phase("paused", "Succeeded", "Failed")["phase"] == "Succeeded"


def test_kueue_may_be_away_for_a_while(films: Workspace, kueue: KueueInstallation) -> None:
    films.apply(in_queue("running"))
    running_pod(films, "running")
    kueue.stop()
    try:
        films.apply(in_queue("waiting"))
        status = films.wait_for(
            "waiting", lambda status: reason(status) == "NotAnswered", "told", seconds=60
        )
        assert status["phase"] == "Pending"
        end_pod(films, "running")
        assert films.wait_for_phase("running", "Succeeded", "Failed")["phase"] == "Succeeded"
    finally:
        kueue.start()
    wait_until(lambda: bool(films.children("jobs", "waiting")), "it has a Job", 120)
    end_pod(films, "waiting")
    assert films.wait_for_phase("waiting", "Succeeded", "Failed")["phase"] == "Succeeded"

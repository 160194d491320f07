"""Looks at a video that is cancelled, and at one that is asked for once more."""

import asyncio
import json
from typing import Any

import pytest
from t2v_api.resource import TextToVideoJobStatus
from t2v_operator.cluster import reconcile
from t2v_operator.cluster.kinds import JOBS, RESOURCES
from t2v_operator.core.names import RECORD_ANNOTATION
from t2v_operator.core.observed import Settled

from tests.unit.cluster.api_server import the_jobs, the_status
from tests.unit.cluster.test_reconcile import KEY, World
from tests.unit.observations import (
    JOB_NAME,
    a_job_document,
    a_job_seen,
    a_record_of,
    a_status,
    running,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(reconcile, "time", type("Time", (), {"monotonic": lambda: made.uptime}))
    return made


def asks(world: World, **spec: Any) -> None:
    """The user edits the resource."""
    document = world.server.all_of(RESOURCES)[0]
    document["spec"] |= spec
    document["metadata"]["generation"] += 1
    world.server.put(RESOURCES, document)
    world.hears()


def looks(world: World, times: int) -> list[float | None]:
    again = []
    for _ in range(times):
        again.append(world.looks())
        world.hears()
    return again


def is_going(world: World) -> bool:
    """Whether its Job is being deleted: it is gone when its pods are."""
    (job,) = world.server.all_of(JOBS)
    return "deletionTimestamp" in job["metadata"]


def reason(world: World) -> str:
    return str(the_status(world.server)["conditions"][0]["reason"])


def test_a_cancel_is_said_before_the_job_goes_and_costs_three_writes(world: World) -> None:
    world.job()
    world.pod(running=True)
    world.has(status=running())
    asks(world, cancel=True)
    world.server.forget_requests()
    assert looks(world, 1) == [0.0]
    assert reason(world) == "Cancelled"
    assert not is_going(world), "an operator that dies now finds it as ended"
    looks(world, 2)
    assert is_going(world)
    assert isinstance(world.cache.resources.get(KEY), Settled)
    asked = {(verb, kind): world.server.count(verb, kind) for verb, kind in WRITES}
    assert asked == {("update", RESOURCES): 1, ("patch", RESOURCES): 1, ("delete", JOBS): 1}


WRITES = [("update", RESOURCES), ("patch", RESOURCES), ("delete", JOBS)]


def test_gpus_come_back_though_many_records_wait_for_their_turn(world: World) -> None:
    for number in range(200):
        world.reconciler._record_pace.wait_seconds(("other", str(number)))
    world.job()
    world.pod(running=True)
    world.has(status=running())
    asks(world, cancel=True)
    assert looks(world, 1) == [0.0]
    looks(world, 2)
    assert is_going(world)


def test_a_cancel_after_the_end_changes_nothing(world: World) -> None:
    status = a_status(status=running(), job=a_job_seen(failed="BackoffLimitExceeded"))
    world.has(status=status, record=a_record_of(status))
    asks(world, cancel=True)
    before = the_status(world.server)
    looks(world, 1)
    assert {**the_status(world.server), **generations(before)} == before


def generations(status: dict[str, Any]) -> dict[str, Any]:
    return {name: status[name] for name in ("observedGeneration", "conditions")}


def a_failed_video(world: World) -> TextToVideoJobStatus:
    """Its Job is still there, and it is settled."""
    world.server.put(JOBS, a_job_document(failed="BackoffLimitExceeded"))
    status = a_status(status=running(), job=a_job_seen(failed="BackoffLimitExceeded"))
    world.has(status=status, record=a_record_of(status))
    assert isinstance(world.cache.resources.get(KEY), Settled)
    return status


def test_a_retry_removes_the_job_that_failed_and_makes_another(world: World) -> None:
    a_failed_video(world)
    asks(world, retryToken="a")
    looks(world, 1)
    assert reason(world) == "Retrying"
    looks(world, 1)
    (name,) = the_jobs(world.server)
    assert name != JOB_NAME
    world.passes(10)
    looks(world, 1)
    told = the_status(world.server)
    assert (told["phase"], told["jobName"], told["retryTokens"]) == ("Queued", name, ["a"])


def test_the_end_of_the_second_try_is_recorded_in_place_of_the_firsts(world: World) -> None:
    a_failed_video(world)
    asks(world, retryToken="a")
    looks(world, 2)
    job = world.server.all_of(JOBS)[0]
    failed = {"type": "Failed", "status": "True", "reason": "X", "message": "again"}
    job["status"] = {"conditions": [failed | {"lastTransitionTime": "2026-01-01T12:01:00Z"}]}
    world.server.put(JOBS, job)
    world.hears()
    world.ended.clear()
    looks(world, 2)
    annotations = world.server.all_of(RESOURCES)[0]["metadata"]["annotations"]
    assert json.loads(annotations[RECORD_ANNOTATION])["retryTokens"] == ["a"]
    assert isinstance(world.cache.resources.get(KEY), Settled)
    assert [after.value for _, after in world.ended] == ["Failed"]
    made = len(the_jobs(world.server))
    asyncio.run(world.reconciler.reconcile(KEY))
    assert len(the_jobs(world.server)) == made

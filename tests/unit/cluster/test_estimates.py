"""The times that are expected, as the cache has them and looks write them, and what that costs."""

import asyncio
from typing import Any

import pytest
from t2v_api.progress import Progress, Stage
from t2v_operator.cluster import reconcile
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES
from t2v_operator.core.estimates.line import InLine, Standing, Turn

from tests.unit.builders import a_config_of_pools
from tests.unit.cluster.api_server import the_status
from tests.unit.cluster.test_reconcile import World
from tests.unit.observations import a_pod_document, a_resource_document, at, text

NAMES = ["first", "second", "third"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A pool of one GPU: the first of three videos runs."""
    made = World(a_config_of_pools({"name": "one", "gpus": 1}))
    monkeypatch.setattr(reconcile, "time", type("Time", (), {"monotonic": lambda: made.uptime}))
    for number, name in enumerate(NAMES):
        document = a_resource_document(name=name, spec={"prompt": f"a {name} circle"})
        document["metadata"] |= {
            "uid": f"uid-of-{name}",
            "creationTimestamp": text(at(number)),
        }
        made.server.put(RESOURCES, document)
    made.hears()
    look(made)
    for number, job in enumerate(made.server.all_of(JOBS)):
        job["metadata"]["creationTimestamp"] = text(at(number))
        made.server.put(JOBS, job)
        waits = {"running": True} if number == 0 else {"unschedulable": "no GPU"}
        uid = job["metadata"]["uid"]
        made.server.put(PODS, a_pod_document(f"pod-{number}", made=3, job_uid=uid, **waits))
    made.hears()
    return made


def look(world: World, names: list[str] = NAMES) -> None:
    for name in names:
        asyncio.run(world.reconciler.reconcile(("default", name)))


def reports(world: World, left: float, percent: int = 30) -> None:
    """The first one's runner says how much is left."""
    report = Progress(
        stage=Stage.DENOISE,
        step=percent,
        steps=100,
        percent=percent,
        eta_seconds=left,
        updated_time=at(world.now),
    )
    world.cache.report(("default", "first"), "pod-0", report)


def estimates(world: World) -> dict[str, tuple[str, str]]:
    told = {name: the_status(world.server, name).get("estimate", {}) for name in NAMES}
    return {
        name: (each["startTime"], each["completionTime"])
        for name, each in told.items()
        if "completionTime" in each
    }


def test_those_that_wait_are_told_by_the_word_of_the_one_that_runs(world: World) -> None:
    world.passes(5)
    look(world)
    assert estimates(world) == {}, "nothing is known of the model yet"
    world.passes(95)
    reports(world, left=300)
    look(world)
    # It began at 5 and ends at 500: 495 s each.
    assert estimates(world) == {
        "first": (text(at(5)), text(at(500))),
        "second": (text(at(500)), text(at(995))),
        "third": (text(at(995)), text(at(1490))),
    }


def test_they_are_written_anew_where_they_have_moved_and_else_cost_nothing(world: World) -> None:
    world.passes(100)
    reports(world, left=300)
    look(world)
    world.passes(70)
    look(world)
    before = estimates(world)
    assert set(before) == set(NAMES)
    world.server.forget_requests()
    for _ in range(7):
        world.passes(30)
        reports(world, left=500 - world.now, percent=30)
        look(world, NAMES[1:])
    assert world.server.count("update", RESOURCES) == 0
    assert {name: estimates(world)[name] for name in NAMES[1:]} == {
        name: before[name] for name in NAMES[1:]
    }
    world.passes(30)
    reports(world, left=900)
    look(world, NAMES[1:])
    world.passes(70)
    look(world, NAMES[1:])
    assert world.server.count("update", RESOURCES) == 2
    assert estimates(world)["second"] > before["second"]


def test_those_whose_times_moved_are_looked_at(world: World) -> None:
    world.passes(100)
    reports(world, left=300)
    look(world)
    world.passes(70)
    look(world)
    assert world.cache.those_whose_times_moved(at(world.now)) == []
    world.passes(30)
    reports(world, left=900)
    moved = world.cache.those_whose_times_moved(at(world.now))
    assert moved == [("default", "second"), ("default", "third")]


def in_turn(world: World) -> list[str]:
    """By the time at which they are expected to begin."""
    world.hears()
    world.passes(1)
    times = {name: world.cache.forecasts.of(("default", name), at(world.now)) for name in NAMES}
    return sorted(NAMES, key=lambda name: getattr(times[name], "start", 0.0))


def pod_of(world: World, name: str) -> Any:
    pods = {each["metadata"]["name"]: each for each in world.server.all_of(PODS)}
    return pods[f"pod-{NAMES.index(name)}"]


def test_a_pod_that_comes_before_others_is_seen(world: World) -> None:
    world.passes(100)
    reports(world, left=300)
    assert in_turn(world) == ["first", "second", "third"]
    third = pod_of(world, "third")
    third["spec"]["priority"] = 1000
    world.server.put(PODS, third)
    assert in_turn(world) == ["first", "third", "second"]
    third["spec"]["priority"] = 0
    third["spec"]["nodeName"] = "node-1"
    world.server.put(PODS, third)
    assert in_turn(world) == ["first", "third", "second"]
    del third["spec"]["nodeName"]
    world.server.put(PODS, third)
    assert in_turn(world) == ["first", "second", "third"]
    world.server.put(PODS, pod_of(world, "second"))
    assert in_turn(world) == ["first", "third", "second"], "the scheduler tried it later"
    world.server.drop(PODS, "pod-2")
    assert in_turn(world) == ["first", "second", "third"], "its Job has no pod any more"


def test_what_a_cluster_of_ten_thousand_asks_for_is_computed_now_and_then() -> None:
    computed: list[InLine] = []

    def known(each: InLine) -> float:
        computed.append(each)
        return 100.0

    world = World()
    world.cache.forecasts._known = known
    for number in range(2000):
        each: Any = InLine("default", "m", 1, None, None, Turn(Standing.WAITS_FOR_A_NODE, number))
        world.cache.forecasts.see(("films", str(number)), each)
    for number in range(2000):
        world.cache.forecasts.of(("films", str(number)), at(0.001 * number))
    assert len(computed) == 2000

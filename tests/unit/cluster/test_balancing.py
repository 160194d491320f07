"""Forty resources at once, and an operator that dies in between: one Job each, where it is free."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from t2v_api.progress import Progress, Stage
from t2v_operator.cluster import reconcile
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES
from t2v_operator.config import OperatorConfig
from t2v_operator.core.balancing import UNKNOWN_SECONDS
from t2v_operator.core.names import POOL_LABEL, RESOURCE_ANNOTATION

from tests.unit.builders import a_config_of_pools
from tests.unit.cluster.test_reconcile import World
from tests.unit.observations import a_pod_document, a_resource_document, at

ONE, THREE = {"name": "one", "gpus": 1}, {"name": "three", "gpus": 3}
FORTY = [f"video-{number}" for number in range(40)]


@dataclass
class Clock:
    """Of patience with statuses."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(reconcile, "time", made)
    return made


def a_config(*pools: dict[str, Any], reconsider: bool = False) -> OperatorConfig:
    document = a_config_of_pools(*(pools or (ONE, THREE))).document()
    section = {"reconsider": reconsider, "minimumGainSeconds": 1}
    return OperatorConfig.parse(document | {"loadBalancing": section})


def a_world(
    config: OperatorConfig | None = None, names: list[str] = FORTY, load_balancer: bool = True
) -> World:
    """The resources are there, and nobody has looked at them."""
    world = World(config or a_config())
    for name in names:
        spec = {"prompt": f"a circle in {name}", "loadBalancer": load_balancer}
        document = a_resource_document(name=name, spec=spec)
        document["metadata"]["uid"] = f"uid-of-{name}"
        world.server.put(RESOURCES, document)
    answers_late(world)
    world.hears()
    return world


def answers_late(world: World) -> None:
    """While an answer is waited for, everybody else goes on."""
    for verb in ("create", "delete", "list"):
        setattr(world.server, verb, _late(getattr(world.server, verb)))


def _late(ask: Any) -> Any:
    async def asked(*words: Any, **more: Any) -> Any:
        for _ in range(100):
            await asyncio.sleep(0)
        return await ask(*words, **more)

    return asked


def all_look(world: World, names: list[str] = FORTY) -> list[Any]:
    """At the same time. Returns what came of each."""

    async def looks() -> list[Any]:
        every = (world.reconciler.reconcile(("default", name)) for name in names)
        return await asyncio.gather(*every, return_exceptions=True)

    return asyncio.run(looks())


def spread(world: World) -> Counter[str]:
    """How many Jobs each pool has."""
    return Counter(job["metadata"]["labels"][POOL_LABEL] for job in world.server.all_of(JOBS))


def load(world: World) -> dict[str, float]:
    """As the cache has it by now, in videos whose length nobody knows."""
    found = world.cache.tally.load(at(world.now))
    return {pool: seconds / UNKNOWN_SECONDS for pool, seconds in found.items() if seconds}


def test_forty_at_once_spread_as_the_gpus_do_before_any_of_their_jobs_is_seen() -> None:
    world = a_world()
    all_look(world)
    assert spread(world) == {"one": 10, "three": 30}
    assert load(world) == {"one": 10, "three": 30}, "promises and Jobs count once"


def test_without_the_load_balancer_all_are_in_the_first_pool() -> None:
    world = a_world(load_balancer=False)
    all_look(world)
    assert spread(world) == {"one": 40}


def test_those_that_do_not_ask_are_counted_by_those_that_do() -> None:
    world = a_world(load_balancer=False)
    all_look(world, FORTY[:20])
    for name in FORTY[20:]:
        world.server.change(RESOURCES, name, spec={"loadBalancer": True})
    world.hears()
    all_look(world)
    assert spread(world) == {"one": 20, "three": 20}


def test_a_job_that_is_refused_counts_for_nothing() -> None:
    world = a_world(names=["video-0"])
    refusal = ClusterError(403, "Forbidden", "exceeded quota: gpus")
    world.server.refusals["create", "jobs"] = refusal
    all_look(world, ["video-0"])
    assert (spread(world), load(world)) == ({}, {})


def test_a_promise_does_not_outlive_an_error() -> None:
    world = a_world(names=["video-0"])
    world.server.refusals["create", "jobs"] = ConnectionError("cut off")
    (error,) = all_look(world, ["video-0"])
    assert isinstance(error, ConnectionError)
    assert load(world) == {}


def test_an_operator_that_dies_in_the_middle_leaves_one_job_for_each(clock: Clock) -> None:
    """The next one has another cache, with another load, and finds Jobs that it has not seen."""
    before = a_world()
    all_look(before, FORTY[:25])
    made = uids(before)
    after = World(a_config(), server=before.server)
    resources = after.server.all_of(RESOURCES)
    after.cache.resources.page(resources, after.server.version, None)
    all_look(after)
    assert len(uids(after)) == 40
    assert made.items() <= uids(after).items()
    clock.now += 10
    all_look(after)
    told = {
        each["metadata"]["name"]: each["status"]["pool"] for each in after.server.all_of(RESOURCES)
    }
    assert told == {
        job["metadata"]["annotations"][RESOURCE_ANNOTATION]: job["metadata"]["labels"][POOL_LABEL]
        for job in after.server.all_of(JOBS)
    }


def uids(world: World) -> dict[str, str]:
    return {job["metadata"]["name"]: job["metadata"]["uid"] for job in world.server.all_of(JOBS)}


def test_what_is_left_of_running_work_counts_as_its_runner_tells_it() -> None:
    world = a_world(names=["video-0"])
    all_look(world, ["video-0"])
    (uid,) = uids(world).values()
    pod = a_pod_document(running=True, made=50, job_uid=uid)
    world.server.put(PODS, pod)
    world.hears()
    (seconds,) = world.cache.tally.load(at(100)).values()
    assert seconds == UNKNOWN_SECONDS - 48
    report = Progress(
        stage=Stage.DENOISE, step=2, steps=9, percent=5, eta_seconds=777, updated_time=at(100)
    )
    world.cache.report(("default", "video-0"), "pod-1", report)
    assert world.cache.tally.load(at(107)) == {"one": 770}
    world.server.drop(PODS, "pod-1")
    world.hears()
    assert load(world) == {"one": 1}, "another pod follows"
    world.server.drop(JOBS, next(iter(uids(world))))
    world.hears()
    assert load(world) == {}


def test_those_that_wait_move_to_a_new_pool_until_both_are_as_busy(clock: Clock) -> None:
    """All look at the same time, and none of the Jobs is gone before the last has decided."""
    small = a_config({"name": "one", "gpus": 1})
    before = a_world(small)
    all_look(before)
    clock.now += 10
    all_look(before)
    assert spread(before) == {"one": 40}
    world = World(a_config(reconsider=True), server=before.server)
    world.hears()
    clock.now += 10
    for _ in range(2):
        all_look(world)
        assert load(world) == pytest.approx({"one": 10, "three": 30}, abs=1)
        world.hears()
    assert spread(world) == pytest.approx({"one": 10, "three": 30}, abs=1)
    world.server.forget_requests()
    clock.now += 10
    all_look(world)
    assert world.server.count("delete", JOBS) == 0, "and stay"


def test_a_video_that_moves_counts_where_it_goes_until_its_user_holds_it(clock: Clock) -> None:
    names = ["video-0", "video-1"]
    before = a_world(a_config({"name": "one", "gpus": 1}), names)
    all_look(before, names)
    world = World(a_config(reconsider=True), server=before.server)
    world.hears()
    all_look(world, names)
    moved = next(iter(name for name in names if _told_pool(world, name) == "three"))
    assert load(world) == {"one": 1, "three": 1}
    world.server.change(RESOURCES, moved, spec={"suspend": True})
    world.hears()
    all_look(world, [moved])
    assert load(world) == {"one": 1}


def _told_pool(world: World, name: str) -> str | None:
    pool: str | None = world.server.objects[RESOURCES, "default", name]["status"].get("pool")
    return pool

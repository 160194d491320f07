"""Which pool a video waits in: the tally of work, the choice, and what both come to."""

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from t2v_api.progress import Progress, Stage
from t2v_operator.config import GpuPool
from t2v_operator.core.balancing import (
    LATE_SHARE,
    MOST_SECONDS,
    UNKNOWN_SECONDS,
    Key,
    Tally,
    Work,
    begun,
    shortest_wait,
    wait_seconds,
    work_of,
)
from t2v_operator.core.earlier_runs import EarlierRuns
from t2v_operator.core.observed import ObservedJob

from tests.unit.builders import a_config_of_pools, a_config_with_kueue
from tests.unit.observations import a_job_seen, at
from tests.unit.test_earlier_runs import a_video

ONE, THREE = GpuPool(name="one", gpus=1), GpuPool(name="three", gpus=3)
POOLS = (ONE, THREE)


def a_key(number: int) -> Key:
    return "default", f"video-{number}"


def some_work(pool: str = "one", seconds: float | None = 100, gpus: int = 1) -> Work:
    return Work(pool, "wan", gpus, seconds)


def running(work: Work, since: float = 0) -> Work:
    return replace(work, started=at(since))


def a_tally(**usual: float) -> Tally:
    return Tally(usual.get)


# The tally


def test_queued_work_counts_in_gpu_seconds() -> None:
    tally = a_tally()
    tally.see(a_key(1), some_work(seconds=100))
    tally.see(a_key(2), some_work(seconds=50, gpus=2))
    tally.see(a_key(3), some_work("three", seconds=7))
    assert tally.load(at(0)) == {"one": 200, "three": 7}


def test_of_running_work_only_the_rest_counts() -> None:
    tally = a_tally()
    tally.see(a_key(1), running(some_work(seconds=100), since=10))
    assert tally.load(at(40)) == {"one": 70}


def test_the_runner_knows_the_rest_better() -> None:
    report = Progress(
        stage=Stage.DENOISE, step=2, steps=9, percent=9, eta_seconds=500, updated_time=at(40)
    )
    tally = a_tally()
    tally.see(a_key(1), begun(some_work(seconds=100), at(10), report))
    assert tally.load(at(60)) == {"one": 480}


@pytest.mark.parametrize("year", [1, 1970, 9999])
def test_a_runner_whose_clock_is_elsewhere_ends_no_sooner_than_it_began_nor_ever_later(
    year: int,
) -> None:
    report = Progress(
        stage=Stage.DENOISE,
        step=2,
        steps=9,
        percent=9,
        eta_seconds=500,
        updated_time=datetime(year, 12, 31, 23, 59, tzinfo=UTC),
    )
    work = begun(some_work(seconds=100), at(10), report)
    assert work.ends
    assert 0 <= (work.ends - at(10)).total_seconds() <= MOST_SECONDS


def test_the_end_of_a_download_is_not_the_end_of_the_video() -> None:
    report = Progress(
        stage=Stage.DOWNLOAD, step=0, steps=0, percent=9, eta_seconds=5, updated_time=at(10)
    )
    assert begun(some_work(), at(10), report) == running(some_work(), 10)


def test_what_is_late_counts_a_little_until_it_ends() -> None:
    tally = a_tally()
    tally.see(a_key(1), running(some_work(seconds=100)))
    tally.see(a_key(2), running(some_work(seconds=300)))
    for now in (150, 160):
        assert tally.load(at(now))["one"] == 300 - now + 100 / LATE_SHARE
    tally.see(a_key(1), None)
    assert tally.load(at(160)) == {"one": 140}


def test_what_was_never_measured_counts_as_its_model_does_by_now() -> None:
    runs = EarlierRuns()
    tally = Tally(runs.usual_seconds)
    tally.see(a_key(1), Work("one", "any", 1, None))
    assert tally.load(at(0)) == {"one": UNKNOWN_SECONDS}
    runs.take(a_video(model_id="other", timings={Stage.DENOISE: 40.0}))
    assert tally.load(at(0)) == {"one": 40}, "as any other model"
    runs.take(a_video(pool="a", timings={Stage.DENOISE: 10.0}))
    runs.take(a_video(pool="b", timings={Stage.DENOISE: 30.0}))
    assert tally.load(at(0)) == {"one": 20}, "as its own in all pools"
    tally.see(a_key(1), None)
    assert tally.load(at(0)) == {"one": 0}


def test_a_promise_counts_once_and_in_the_place_of_the_job_that_is_removed() -> None:
    tally = a_tally()
    tally.see(a_key(1), some_work("one"))
    tally.promise(a_key(1), some_work("three"))
    assert tally.load(at(0)) == {"one": 0, "three": 100}
    tally.see(a_key(1), None)
    assert tally.load(at(0)) == {"one": 0, "three": 100}, "its Job went, another comes"
    tally.see(a_key(1), some_work("three", seconds=90))
    tally.see(a_key(1), None)
    assert tally.load(at(0)) == {"one": 0, "three": 0}, "the promise was kept"


def test_a_promise_that_is_withdrawn_leaves_what_the_job_shows() -> None:
    tally = a_tally()
    tally.see(a_key(1), some_work("one"))
    tally.promise(a_key(1), some_work("three"))
    tally.withdraw(a_key(1))
    tally.withdraw(a_key(2))
    assert tally.load(at(0)) == {"one": 100, "three": 0}


def test_who_asks_does_not_wait_for_itself() -> None:
    tally = a_tally()
    tally.see(a_key(1), some_work())
    tally.see(a_key(2), some_work())
    assert tally.load(at(0), but=a_key(1)) == {"one": 100}


@dataclass(frozen=True)
class Step:
    key: Key
    work: Work | None
    is_promise: bool
    seconds: float


WORKS = st.builds(
    Work,
    pool=st.sampled_from(["one", "three"]),
    model=st.sampled_from(["wan", "ltx"]),
    gpus=st.integers(1, 4),
    seconds=st.none() | st.floats(0, 1e9),
    started=st.none() | st.integers(0, 400).map(at),
    ends=st.none() | st.integers(0, 900).map(at),
)
STEPS = st.builds(
    Step,
    key=st.integers(0, 5).map(a_key),
    work=st.none() | WORKS,
    is_promise=st.booleans(),
    seconds=st.integers(0, 60),
)


@settings(derandomize=True, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_tally_is_what_adding_everything_up_would_give(steps: list[Step]) -> None:
    usual = {"wan": 11.0, "ltx": 5.0}
    tally, seen, promised, now = a_tally(**usual), {}, {}, 0.0
    for step in steps:
        now += step.seconds
        if step.work and step.is_promise:
            tally.promise(step.key, step.work)
            promised[step.key] = step.work
        elif step.is_promise:
            tally.withdraw(step.key)
            promised.pop(step.key, None)
        else:
            tally.see(step.key, step.work)
            seen[step.key] = step.work
            if step.work and (there := promised.get(step.key)) and there.pool == step.work.pool:
                del promised[step.key]
        load = tally.load(at(now))
        expected: Counter[str] = Counter()
        for work in (seen | promised).values():
            if work:
                expected[work.pool] += added_up(work, at(now), usual)  # type: ignore[assignment]
        for pool in ("one", "three"):
            assert load.get(pool, 0) == pytest.approx(expected[pool], abs=0.1)


def added_up(work: Work, now: datetime, usual: dict[str, float]) -> float:
    whole = min(usual[work.model] if work.seconds is None else work.seconds, MOST_SECONDS)
    if work.started is None:
        return work.gpus * whole
    end = work.ends.timestamp() if work.ends else work.started.timestamp() + whole
    left = end - now.timestamp()
    return work.gpus * (left if left > 0 else whole / LATE_SHARE)


def test_ten_thousand_reports_leave_no_more_behind_than_there_are_runs() -> None:
    tally = a_tally()
    for number in range(10_000):
        tally.see(a_key(number % 10), running(some_work(seconds=number), since=number))
    assert len(tally._pools["one"]._running._ends) < 100


# What a Job adds


def a_job(**job: object) -> ObservedJob:
    config = job.pop("config", None) or a_config_of_pools({"name": "one"})
    return a_job_seen(config=config, **job)  # type: ignore[arg-type]


def test_a_job_adds_its_gpus_to_its_pool() -> None:
    assert work_of(a_job()) == Work("one", "tiny-shapes", 1, None)


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(a_job_seen(), id="needs no GPU"),
        pytest.param(a_job(complete=True), id="is complete"),
        pytest.param(a_job(failed="PodFailurePolicy"), id="has failed"),
        pytest.param(a_job(deleting=True), id="goes"),
        pytest.param(a_job(suspend=True), id="is held"),
        pytest.param(replace(a_job(), plan_text=None), id="says nothing of itself"),
    ],
)
def test_a_job_adds_nothing_that(job: ObservedJob) -> None:
    assert work_of(job) is None


def test_what_a_queue_holds_counts_unless_its_user_holds_it() -> None:
    gpu = {"gpus": 1, "memory": "1Gi"}
    document = a_config_with_kueue(queueName="videos").document()
    document["models"][0]["resources"] = gpu
    config = type(a_config_with_kueue()).parse(document)
    assert work_of(a_job(config=config)) == Work("default", "tiny-shapes", 1, None)
    assert work_of(a_job(config=config, applied={"suspend": True})) is None


@pytest.mark.parametrize("model", ["", "[]", '{"resources": 3}', '{"resources": {"gpus": "x"}}'])
def test_a_forged_job_counts_as_nothing(model: str) -> None:
    job = a_job()
    assert job.plan_text
    assert work_of(replace(job, plan_text=replace(job.plan_text, model=model))) is None


@pytest.mark.parametrize("seconds", ["1e300", "1e999"])
def test_a_forged_job_fills_a_pool_for_a_day_at_most(seconds: str) -> None:
    job = a_job()
    assert job.plan_text
    estimate = f'{{"seconds": {seconds}}}'
    work = work_of(replace(job, plan_text=replace(job.plan_text, estimate=estimate)))
    assert work
    tally = a_tally()
    tally.see(a_key(1), work)
    tally.see(a_key(2), running(work))
    assert tally.load(at(0))["one"] <= 2 * MOST_SECONDS


# The choice


def test_the_wait_is_the_work_over_the_gpus() -> None:
    assert wait_seconds(THREE, {"three": 60}) == 20
    assert wait_seconds(GpuPool(name="unknown"), {"unknown": 60}) == 60
    assert wait_seconds(ONE, {}) == 0


def test_of_equal_pools_the_first_is_taken() -> None:
    assert shortest_wait(POOLS, {}) is ONE
    assert shortest_wait(POOLS, {"one": 10, "three": 30}) is ONE
    assert shortest_wait(POOLS, {"one": 10, "three": 29}) is THREE


# What it comes to


@dataclass
class Cluster:
    """Pools that run what they are given in its order, and a tally that follows."""

    pools: Sequence[GpuPool]

    def __post_init__(self) -> None:
        self.tally = a_tally()
        self.free = {pool.name: [0.0] * (pool.gpus or 1) for pool in self.pools}
        self.given: Counter[str] = Counter()
        self.end = 0.0
        self.changes: list[tuple[float, int, Key, Work | None]] = []

    def takes(self, number: int, lengths: dict[str, float], arrives: float = 0) -> None:
        """One video, whose length each pool has measured."""
        self.passes_to(arrives)
        pool = shortest_wait(self.pools, self.tally.load(at(arrives)))
        length, gpus = lengths[pool.name], self.free[pool.name]
        begins = max(arrives, heapq.heappop(gpus))
        heapq.heappush(gpus, begins + length)
        self.given[pool.name] += 1
        self.end = max(self.end, begins + length)
        work = Work(pool.name, "any", 1, length)
        self.tally.see(a_key(number), work)
        heapq.heappush(self.changes, (begins, number, a_key(number), running(work, begins)))
        heapq.heappush(self.changes, (begins + length, number, a_key(number), None))

    def passes_to(self, time: float) -> None:
        while self.changes and self.changes[0][0] <= time:
            _, _, key, work = heapq.heappop(self.changes)
            self.tally.see(key, work)


def test_forty_equal_videos_spread_as_the_gpus_do() -> None:
    cluster = Cluster(POOLS)
    for number in range(40):
        cluster.takes(number, {"one": 60, "three": 60})
    assert cluster.given["one"] == pytest.approx(10, rel=0.1)
    assert cluster.given["three"] == pytest.approx(30, rel=0.1)
    assert cluster.end <= 1.15 * 40 * 60 / 4


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("every", [0, 5], ids=["all at once", "one after another"])
def test_forty_videos_of_mixed_lengths_are_done_in_little_more_than_the_ideal(
    seed: int, every: float
) -> None:
    drawn = random.Random(seed)
    lengths = [drawn.uniform(20, 120) for _ in range(40)]
    cluster = Cluster(POOLS)
    for number, length in enumerate(lengths):
        cluster.takes(number, {"one": length, "three": length}, every * number)
    assert cluster.end <= 1.15 * max(sum(lengths) / 4, max(lengths))


def test_a_pool_whose_gpus_are_slower_gets_fewer() -> None:
    """Two GPUs each, of which the second pool's take three times as long."""
    fast, slow = GpuPool(name="fast", gpus=2), GpuPool(name="slow", gpus=2)
    cluster = Cluster((fast, slow))
    for number in range(40):
        cluster.takes(number, {"fast": 30, "slow": 90})
    assert cluster.given["fast"] == pytest.approx(30, abs=2)


def test_long_videos_of_one_model_send_the_short_ones_elsewhere() -> None:
    cluster = Cluster((ONE, replace_gpus(THREE, 1)))
    cluster.takes(0, {"one": 600, "three": 600})
    for number in range(1, 11):
        cluster.takes(number, {"one": 60, "three": 60})
    assert cluster.given == {"one": 1, "three": 10}


def replace_gpus(pool: GpuPool, gpus: int) -> GpuPool:
    return pool.model_copy(update={"gpus": gpus})

"""The order of the work: every key once, never twice at a time, failures again."""

import asyncio
from contextlib import suppress

import pytest
from t2v_operator.cluster import work_queue
from t2v_operator.cluster.work_queue import WorkQueue


def run_until(done: asyncio.Event, queue: "WorkQueue[str]") -> None:
    async def run() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                work = group.create_task(queue.run(workers=3))
                await done.wait()
                work.cancel()
        assert done.is_set(), "the work was not done"

    asyncio.run(run())


def test_a_key_that_is_added_while_it_is_worked_on_is_worked_on_again_afterwards() -> None:
    done, at_once, most, rounds = asyncio.Event(), 0, 0, 0

    async def work(key: str) -> None:
        nonlocal at_once, most, rounds
        at_once, rounds = at_once + 1, rounds + 1
        most = max(most, at_once)
        if rounds == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(0.01)
        at_once -= 1
        if rounds == 2:
            done.set()

    queue = WorkQueue(work)
    queue.add("a")
    queue.add("a")
    run_until(done, queue)
    assert (rounds, most) == (2, 1)


def test_work_that_fails_is_tried_again_and_does_not_stop_other_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work_queue, "FIRST_RETRY_SECONDS", 0.001)
    done, tries, others = asyncio.Event(), 0, []

    async def work(key: str) -> None:
        nonlocal tries
        if key == "good":
            others.append(key)
            return
        tries += 1
        if tries < 4:
            raise ConnectionError("the API server is away")
        done.set()

    queue = WorkQueue(work)
    queue.add("bad")
    queue.add("good")
    run_until(done, queue)
    assert (tries, others) == (4, ["good"])


def test_a_thousand_failures_end_no_worker() -> None:
    done = asyncio.Event()

    async def work(key: str) -> None:
        if key == "good":
            done.set()
            return
        raise ConnectionError("still away")

    queue = WorkQueue(work)
    queue._failures["bad"] = 5000
    queue.add("bad")
    queue.add("good")
    run_until(done, queue)


def test_work_comes_back_when_it_is_due() -> None:
    done, rounds = asyncio.Event(), 0

    async def work(key: str) -> float | None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            done.set()
        return 0.001

    queue = WorkQueue(work)
    queue.add("a")
    run_until(done, queue)
    assert rounds >= 3


def test_what_may_wait_is_done_once_for_all_that_comes_meanwhile() -> None:
    worked: list[float] = []
    done = asyncio.Event()

    async def work(key: str) -> float | None:
        worked.append(asyncio.get_running_loop().time())
        done.set()
        return 300

    async def go() -> float:
        began = asyncio.get_running_loop().time()
        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run(workers=2))
        for _ in range(5):
            queue.add_later("a", 0.05)
            await asyncio.sleep(0.005)
        await done.wait()
        await asyncio.sleep(0.1)
        task.cancel()
        return began

    began = asyncio.run(go())
    assert len(worked) == 1
    assert worked[0] - began >= 0.05


def test_what_may_wait_does_not_put_off_what_is_due_sooner() -> None:
    worked: list[str] = []

    async def work(key: str) -> float | None:
        worked.append(key)
        return 0.01 if len(worked) == 1 else None

    async def go() -> None:
        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run(workers=1))
        queue.add("a")
        await asyncio.sleep(0.005)
        queue.add_later("a", 60)
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(go())
    assert worked == ["a", "a"]


def test_what_is_due_in_thirty_thousand_years_is_no_error() -> None:
    worked: list[str] = []

    async def work(key: str) -> float | None:
        worked.append(key)
        return 1e12 if key == "a" else None

    async def go() -> None:
        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run(workers=1))
        for key in ("a", "b", "a"):
            queue.add(key)
            await asyncio.sleep(0.005)
        assert not task.done()
        task.cancel()

    asyncio.run(go())
    assert worked == ["a", "b", "a"]


def test_a_queue_that_is_always_full_lets_other_tasks_run() -> None:
    """Two thousand looks that ask nobody, each at once due again."""
    looks = 0

    async def work(key: int) -> float | None:
        nonlocal looks
        looks += 1
        if looks < 4000:
            queue.add(key)
        return None

    queue: WorkQueue[int] = WorkQueue(work)
    for key in range(2000):
        queue.add(key)

    async def go() -> int:
        task, ticks = asyncio.create_task(queue.run(workers=32)), 0
        while looks < 4000:
            ticks += 1
            await asyncio.sleep(0)
        task.cancel()
        return ticks

    assert asyncio.run(go()) >= 4000 / 32


def test_news_that_comes_right_after_a_look_leaves_no_second_timer() -> None:
    """With two timers every look would be done twice from then on."""
    looks, due = 0, 0.04

    async def work(key: str) -> float | None:
        nonlocal looks
        looks += 1
        if looks == 1:
            asyncio.get_running_loop().call_soon(queue.add, key)
        if looks == 2:
            await asyncio.sleep(due / 2)
        return due

    queue = WorkQueue(work)

    async def go() -> None:
        queue.add("a")
        task = asyncio.create_task(queue.run(workers=2))
        await asyncio.sleep(8.5 * due)
        task.cancel()

    asyncio.run(go())
    assert looks <= 10

"""What may wait is written in turns: after a burst so many a second, each key in its order."""

import heapq

import pytest
from t2v_operator.cluster.pace import Pace

PER_SECOND, BURST = 20.0, 50


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(PER_SECOND, BURST, clock)


def after_its_burst(pace: Pace) -> Pace:
    while not pace.wait_seconds(object()):
        pass
    return pace


def test_a_burst_goes_at_once_and_the_rest_has_turns_in_order(pace: Pace) -> None:
    waits = [pace.wait_seconds(key) for key in range(100)]
    at_once = [wait for wait in waits if wait == 0]
    turns = waits[len(at_once) :]
    assert len(at_once) in (BURST, BURST + 1)
    assert turns == pytest.approx([(n + 1) / PER_SECOND for n in range(len(turns))])


def test_a_key_that_comes_back_at_its_turn_goes_on(pace: Pace, clock: Clock) -> None:
    wait = after_its_burst(pace).wait_seconds("a")
    clock.now += wait
    assert pace.wait_seconds("a") == 0


def test_a_key_that_comes_too_early_keeps_its_turn_and_takes_no_other(
    pace: Pace, clock: Clock
) -> None:
    after_its_burst(pace)
    first, second = pace.wait_seconds("a"), pace.wait_seconds("b")
    for _ in range(100):
        assert pace.wait_seconds("a") == pytest.approx(first)
    assert pace.wait_seconds("c") == pytest.approx(second + 1 / PER_SECOND)
    clock.now += first / 2
    assert pace.wait_seconds("a") == pytest.approx(first / 2)


def test_a_turn_that_was_used_is_over(pace: Pace, clock: Clock) -> None:
    clock.now += after_its_burst(pace).wait_seconds("a")
    assert pace.wait_seconds("a") == 0
    assert pace.wait_seconds("a") > 0, "the next write has a turn of its own"


def test_a_turn_that_was_forgotten_is_not_kept(pace: Pace, clock: Clock) -> None:
    clock.now += after_its_burst(pace).wait_seconds("a")
    pace.forget("a")
    pace.forget("never-there")
    assert pace.wait_seconds("a") > 0


def test_what_was_quiet_for_long_has_one_burst_and_no_more(pace: Pace, clock: Clock) -> None:
    after_its_burst(pace)
    clock.now += 3600
    waits = [pace.wait_seconds(key) for key in range(200)]
    assert waits.count(0) in (BURST, BURST + 1)


def test_of_three_thousand_that_wait_each_asks_about_once_for_a_turn(
    pace: Pace, clock: Clock
) -> None:
    """Who asks again at random costs a look each time, of all of them at once."""
    due, asked, began, last = [(clock.now, key) for key in range(3000)], 0, clock.now, clock.now
    while due and asked < 10_000:
        clock.now, key = heapq.heappop(due)
        asked += 1
        if wait := pace.wait_seconds(key):
            heapq.heappush(due, (clock.now + wait, key))
        last = clock.now
    assert asked <= 2.1 * 3000
    assert last - began == pytest.approx((3000 - BURST) / PER_SECOND, rel=0.01)

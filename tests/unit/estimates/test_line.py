"""Who is expected to get which GPU when, followed change by change."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from t2v_operator.core.estimates.forecasts import MOST_AGAIN_SECONDS, Forecasts
from t2v_operator.core.estimates.line import NEAR, InLine, Key, Standing, Turn
from t2v_operator.core.estimates.seconds import Shape

from tests.unit.observations import START, at

BEGAN = START.timestamp()
SHAPE = Shape(("way",), pixels=1000, steps=10)


def in_line(seconds: float | None = 100, made: float = 0, gpus: int = 1, **more: Any) -> InLine:
    """`seconds`: what it takes, as far as that is known."""
    fields = {"pool": "default", "model": "m", "shape": None, "priority": 0} | more
    standing = Standing.HAS_A_NODE if "started" in more else Standing.WAITS_FOR_A_NODE
    return InLine(gpus=gpus, told_seconds=seconds, turn=Turn(standing, made), **fields)


def forecasts(
    gpus: int | None = 2, usual: float | None = None, **videos: InLine
) -> dict[str, tuple[float, float]]:
    """When each of the videos is expected to begin and to be there, 50 s after the start."""
    line = Forecasts(lambda each: each.told_seconds, lambda _: usual, {"default": gpus})
    for name, video in videos.items():
        line.see(("films", name), video)
    found = {name: line.of(("films", name), at(50)) for name in videos}
    return {
        name: (each.start - BEGAN, each.completion - BEGAN) for name, each in found.items() if each
    }


def test_a_free_gpu_is_taken_at_once() -> None:
    assert forecasts(a=in_line(), b=in_line(seconds=30)) == {"a": (50, 150), "b": (50, 80)}


def test_the_next_one_gets_the_gpu_that_is_free_first() -> None:
    found = forecasts(
        a=in_line(100, made=1), b=in_line(30, made=2), c=in_line(10, made=3), d=in_line(5, made=4)
    )
    assert found["c"] == (80, 90)
    assert found["d"] == (90, 95)


def test_what_runs_ends_when_its_runner_says_so() -> None:
    told = in_line(started=at(0), ends=at(70))
    assert forecasts(1, a=told, b=in_line())["b"] == (70, 170)


def test_what_runs_and_does_not_say_ends_as_it_was_expected_to() -> None:
    assert forecasts(1, a=in_line(started=at(10)), b=in_line())["b"] == (110, 210)


def test_what_is_late_is_expected_soon() -> None:
    assert forecasts(1, a=in_line(seconds=20, started=at(0)))["a"] == (0, 52)


def test_a_higher_priority_goes_first_and_then_who_was_made_first() -> None:
    found = forecasts(
        1,
        a=in_line(made=1),
        b=in_line(made=2, priority=5),
        c=in_line(made=0),
        d=in_line(made=3, priority=5),
    )
    assert sorted(found, key=lambda name: found[name]) == ["b", "d", "c", "a"]


def test_several_gpus_are_waited_for_together() -> None:
    running = in_line(started=at(0), ends=at(80))
    found = forecasts(a=running, b=in_line(gpus=2, made=1), c=in_line(made=2))
    assert found["b"] == (80, 180)
    assert found["c"] == (180, 280)


def test_of_a_pool_of_unknown_size_what_runs_there_tells_how_many_it_has() -> None:
    running = {name: in_line(started=at(0), ends=at(100 + n)) for n, name in enumerate("abc")}
    assert forecasts(None, **running, d=in_line())["d"] == (100, 200)
    assert forecasts(None, d=in_line(), e=in_line(made=1))["e"] == (150, 250)
    starting = replace(in_line(), turn=Turn(Standing.HAS_A_NODE, 0))
    assert forecasts(None, d=starting, e=starting, f=in_line())["f"] == (150, 250)


def test_behind_what_nothing_is_known_of_nothing_is_told() -> None:
    found = forecasts(1, a=in_line(), b=in_line(None, made=1), c=in_line(made=2))
    assert set(found) == {"a"}


def test_what_is_usual_is_assumed_of_others_and_not_told() -> None:
    found = forecasts(1, usual=40, a=in_line(None, made=0), b=in_line(made=1))
    assert found == {"b": (90, 190)}


def test_before_any_video_is_made_those_that_run_say_how_fast_their_model_is() -> None:
    running = in_line(None, shape=SHAPE, started=at(0), ends=at(60))
    larger = in_line(None, shape=Shape(("other",), pixels=2000, steps=10))
    other_model = in_line(None, shape=SHAPE, model="other", made=9)
    found = forecasts(2, a=running, b=larger, c=other_model)
    assert found == {"a": (0, 60), "b": (50, 170)}


def test_more_gpus_than_there_are_never_come() -> None:
    assert forecasts(2, a=in_line(gpus=4), b=in_line(made=1)) == {}


def test_pools_do_not_wait_for_each_other() -> None:
    found = forecasts(1, a=in_line(), b=in_line(pool="other"))
    assert found == {"a": (50, 150), "b": (50, 150)}


def test_it_follows_every_change() -> None:
    line = Forecasts(lambda each: each.told_seconds, lambda _: None, {"default": 1})
    keys: list[Key] = [("films", str(number)) for number in range(3)]
    for number, key in enumerate(keys):
        line.see(key, in_line(made=number))
    first = line.of(keys[2], at(0))
    assert first
    assert first.start - BEGAN == 200
    line.see(keys[0], None)
    line.see(keys[1], in_line(made=1, priority=-1))
    later = line.of(keys[2], at(10))
    assert later
    assert later.start - BEGAN == 10
    assert line.of(keys[0], at(10)) is None
    for key in keys:
        line.see(key, None)
    assert line.of(keys[2], at(100)) is None


def in_turn(line: Forecasts, names: Iterable[str], now: float) -> list[str]:
    """Those that wait, by the time at which they are expected to begin."""
    times = {name: line.of(("films", name), at(now)) for name in names}
    return sorted(times, key=lambda name: getattr(times[name], "start", 0.0))


def test_those_that_saw_a_younger_one_go_first_come_last() -> None:
    line = Forecasts(lambda each: each.told_seconds, lambda _: None, {"default": 1})
    for number, name in enumerate("abcdef"):
        line.see(("films", name), in_line(made=number))
    assert in_turn(line, "abcdef", 0) == list("abcdef")
    line.see(("films", "c"), in_line(made=2, started=at(10)))
    line.see(("films", "g"), in_line(made=6))
    assert in_turn(line, "abdefg", 20) == list("defabg")
    line.see(("films", "e"), in_line(made=4, started=at(30)))
    assert in_turn(line, "abdfg", 40) == list("fabgd")
    line.see(("films", "a"), in_line(made=9))
    assert in_turn(line, "abdfg", 50) == list("fabgd"), "its pod was written anew"
    another = replace(in_line(), turn=Turn(Standing.WAITS_FOR_A_NODE, 10, "another pod"))
    line.see(("films", "a"), another)
    assert in_turn(line, "abdfg", 60) == list("fbgda")


def test_those_that_were_passed_over_at_several_times_come_as_they_were_tried() -> None:
    line = Forecasts(lambda each: each.told_seconds, lambda _: None, {"default": 1})
    for number, name in enumerate("abcdef"):
        line.see(("films", name), in_line(made=number))
    for number, name in ((2, "c"), (1, "b")):
        line.see(("films", name), in_line(made=number, started=at(10)))
        line.see(("films", name), None)
    assert in_turn(line, "adef", 20) == list("defa")


def test_a_pod_that_has_a_node_when_it_is_first_seen_passes_nobody() -> None:
    """As after a restart, when the Jobs are listed before their pods, which come by their names."""
    line = Forecasts(lambda each: each.told_seconds, lambda _: None, {"default": 2})
    held = {name: replace(in_line(), turn=Turn(Standing.HAS_NO_POD, 0, name)) for name in "abcd"}
    for name, each in held.items():
        line.see(("films", name), each)
    for number, name in ((9, "a"), (1, "b"), (3, "c")):
        started = {"started": at(0)} if name == "b" else {}
        line.see(("films", name), in_line(made=number, **started))
    assert in_turn(line, "acd", 10) == ["c", "a", "d"]


def test_what_a_queue_holds_is_not_tried() -> None:
    line = Forecasts(lambda each: each.told_seconds, lambda _: None, {"default": 1})
    held = {name: Turn(Standing.HAS_NO_POD, made) for name, made in (("young", 9), ("old", 1))}
    line.see(("films", "young"), replace(in_line(), turn=held["young"]))
    for number, name in enumerate("ab"):
        line.see(("films", name), in_line(made=number))
    line.see(("films", "b"), in_line(made=1, started=at(0)))
    line.see(("films", "old"), replace(in_line(), turn=held["old"]))
    assert in_turn(line, ["a", "old", "young"], 10) == ["a", "old", "young"]


def test_of_a_video_that_begins_anew_nothing_is_told_that_was_expected_before() -> None:
    line = Forecasts(lambda each: each.told_seconds, lambda _: None, {"default": 1})
    for number in range(5000):
        line.see(("films", str(number)), in_line(made=number))
    line.see(("films", "a"), in_line(started=at(0)))
    assert line.of(("films", "a"), at(0))
    line.see(("films", "a"), in_line(made=9000))
    assert line.of(("films", "a"), at(1)) is None


def test_nobody_is_passed_by_who_is_more_urgent_or_has_a_node_or_has_no_pod() -> None:
    line = Forecasts(lambda each: each.told_seconds, lambda _: None, {"default": 1})
    line.see(("films", "urgent"), in_line(made=0, priority=1))
    line.see(("films", "pulls"), replace(in_line(), turn=Turn(Standing.HAS_A_NODE, 0)))
    for number, name in enumerate("abc", start=1):
        line.see(("films", name), in_line(made=number))
    line.see(("films", "held"), replace(in_line(), turn=Turn(Standing.HAS_NO_POD, 0)))
    line.see(("films", "b"), in_line(made=2, started=at(5)))
    expected = ["pulls", "urgent", "c", "a", "held"]
    assert in_turn(line, expected, 10) == expected


def test_it_is_not_computed_at_every_look() -> None:
    asked: list[InLine] = []

    def known(each: InLine) -> float | None:
        asked.append(each)
        return 100

    line = Forecasts(known, lambda _: None, {"default": 1})
    for number in range(100):
        line.see(("films", str(number)), in_line(made=number))
        line.of(("films", str(number)), at(0))
    assert len(asked) == 1, "once, when one was there"
    line.of(("films", "0"), at(MOST_AGAIN_SECONDS))
    assert len(asked) == 101


@pytest.mark.parametrize("count", [NEAR + 20])
def test_only_the_head_of_a_queue_is_near(count: int) -> None:
    line = Forecasts(lambda each: each.told_seconds, lambda _: None, {"default": 1})
    line.see(("films", "running"), in_line(started=at(0)))
    for number in range(count):
        line.see(("films", str(number)), in_line(made=number))
    near = {name for (_, name), _ in line.near(at(0))}
    assert near == {str(number) for number in range(NEAR)}
    times = [line.of(("films", str(number)), at(0)) for number in range(count)]
    assert [each.is_near for each in times if each] == [n < NEAR for n in range(count)]
    running = line.of(("films", "running"), at(0))
    assert running
    assert running.is_near

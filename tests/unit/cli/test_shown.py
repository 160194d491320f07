"""How parts of a video are told in tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from t2v_client import Video
from t2v_operator.cli.shown import age, bar, remaining, seconds, stage

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_video(phase: str, **status: Any) -> Video:
    return Video({"metadata": {"name": "red"}, "status": {"phase": phase, **status}})


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0s"), (59, "59s"), (61, "1m1s"), (1200, "20m"), (3720, "1h2m"), (200_000, "2d")],
)
def test_an_age_is_told_as_kubectl_tells_it(number: int, told: str) -> None:
    assert age(NOW - timedelta(seconds=number), NOW) == told


@pytest.mark.parametrize(
    ("number", "told"),
    [(None, ""), (8.94, "8.9 s"), (40.4, "40 s"), (180, "3 min"), (9000, "2.5 h")],
)
def test_seconds_are_told_in_the_unit_that_fits(number: float | None, told: str) -> None:
    assert seconds(number) == told


def test_a_bar_has_ten_cells() -> None:
    assert [bar(percent) for percent in (0, 44, 100)] == ["░" * 10, "████░░░░░░", "█" * 10]


def test_what_is_left_is_the_runners_word_else_the_operators() -> None:
    in_a_minute = {"completionTime": (NOW + timedelta(seconds=60)).isoformat()}
    running = a_video("Running", progress={"etaSeconds": 12.0}, estimate=in_a_minute)
    assert remaining(running, NOW) == "12 s"
    assert remaining(a_video("Queued", estimate=in_a_minute), NOW) == "60 s"
    assert remaining(a_video("Queued", estimate=in_a_minute), NOW + timedelta(hours=1)) == ""
    assert remaining(a_video("Succeeded", estimate=in_a_minute), NOW) == ""
    assert remaining(a_video("Pending"), NOW) == ""


def test_a_stage_says_what_is_done_or_why_nothing_is() -> None:
    steps = {"stage": "denoise", "step": 3, "steps": 25}
    assert stage(a_video("Running", progress=steps)) == "denoise 3/25"
    assert stage(a_video("Running", progress={"stage": "load", "steps": 0})) == "load"
    assert stage(a_video("Succeeded", generationTime=8.9)) == "8.9 s"
    conditions = [{"type": "Ready", "reason": "ModelNotReady"}]
    assert stage(a_video("Pending", conditions=conditions)) == "ModelNotReady"

"""What of the expected times stands on a status, and when it is written."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from t2v_api.resource import TextToVideoJobStatus
from t2v_operator.core.decide import decide
from t2v_operator.core.estimates.line import Times
from t2v_operator.core.throttle import ESTIMATE_SECONDS, patience_seconds

from tests.unit.builders import a_config
from tests.unit.observations import (
    START,
    a_job_seen,
    a_pod,
    a_result,
    an_observation,
    at,
    queued,
    running,
)

WAITS = {"job": a_job_seen(), "pods": (a_pod(unschedulable="no GPU"),)}


def told(
    times: tuple[float, float] | None,
    status: TextToVideoJobStatus | None = None,
    near: bool = True,
    **seen: Any,
) -> TextToVideoJobStatus:
    """The status that follows when these times are expected, in seconds after the start."""
    observed = an_observation(status=status or queued(), **(seen or WAITS))
    if times:
        start, completion = (START.timestamp() + each for each in times)
        observed = replace(observed, times=Times(start, completion, near))
    after = decide(observed, a_config()).status
    assert after
    return after


def times_of(status: TextToVideoJobStatus) -> tuple[datetime | None, datetime | None] | None:
    estimate = status.estimate
    return (estimate.start_time, estimate.completion_time) if estimate else None


def test_it_stands_on_what_waits_and_what_runs() -> None:
    assert times_of(told((400, 900))) == (at(400), at(900))
    runs = told((2, 500), running(), job=a_job_seen(), pods=(a_pod(running=True),))
    assert times_of(runs) == (at(2), at(500))


def test_it_is_gone_at_the_end() -> None:
    before = told((2, 500), running(), job=a_job_seen(), pods=(a_pod(running=True),))
    pods = (a_pod(exit_code=0, message=a_result()),)
    after = told((2, 500), before, job=a_job_seen(complete=True), pods=pods)
    assert times_of(after) in (None, (None, None))


@pytest.mark.parametrize(
    ("moved", "near", "is_told"),
    [
        pytest.param(0, True, False, id="it has not moved"),
        pytest.param(70, True, False, id="by less than a tenth of what is left"),
        pytest.param(100, True, True, id="by more"),
        pytest.param(-100, True, True, id="it comes sooner"),
        pytest.param(5000, False, False, id="it is far from its turn"),
    ],
)
def test_alone_it_is_told_where_it_has_moved(moved: float, near: bool, is_told: bool) -> None:
    before = told((400, 900))
    after = told((400 + moved, 900 + moved), before, near=near)
    assert (after != before) == is_told
    assert times_of(after) == ((at(400 + moved), at(900 + moved)) if is_told else times_of(before))


def test_with_other_news_it_is_always_told() -> None:
    before = told((400, 900), near=False)
    pods = (a_pod(unschedulable="another word"),)
    after = told((410, 910), before, near=False, job=a_job_seen(), pods=pods)
    assert times_of(after) == (at(410), at(910))


def test_what_was_told_stays_where_nothing_is_known_just_now() -> None:
    before = told((400, 900))
    assert told(None, before) == before


def test_who_waits_far_behind_is_not_told_for_its_own_sake() -> None:
    before = told(None)
    assert told((400, 900), before, near=False) == before
    assert told((400, 900), before) != before


def test_times_alone_are_written_now_and_then() -> None:
    before = told((400, 900))
    after = told((800, 1300), before)
    assert patience_seconds(before, after) == ESTIMATE_SECONDS


def test_what_no_calendar_has_is_not_told() -> None:
    assert times_of(told((400, 1e13))) in (None, (None, None))
    before = told((400, 900))
    assert times_of(told((400, 1e13), before)) == (at(400), at(900))

"""Whose turn is known to come before whose."""

from dataclasses import replace

from t2v_operator.core.estimates.line import Standing
from t2v_operator.core.estimates.turns import priority_of, turn_of

from tests.unit.observations import a_job_seen, a_pod, a_workload, at

JOB = a_job_seen()


def test_pods_of_one_second_come_as_they_were_made() -> None:
    pods = [replace(a_pod(unschedulable="no GPU"), version=version) for version in (9, 10)]
    first, second = (turn_of(JOB, (pod,), None) for pod in pods)
    assert first < second
    assert first.standing is Standing.WAITS_FOR_A_NODE


def test_a_pod_that_has_a_node_comes_before_those_that_wait_for_one() -> None:
    waits = replace(a_pod(unschedulable="no GPU"), version=1)
    pulls = replace(a_pod(), version=2)
    assert turn_of(JOB, (pulls,), None) < turn_of(JOB, (waits,), None)
    assert turn_of(JOB, (a_pod(running=True),), None).standing is Standing.HAS_A_NODE


def test_the_pod_that_replaces_one_that_is_over_counts() -> None:
    waits = replace(a_pod("pod-2", unschedulable="no GPU"), version=7)
    assert turn_of(JOB, (a_pod(exit_code=1), waits), None).since == 7
    assert turn_of(JOB, (a_pod(exit_code=1),), None).standing is Standing.HAS_NO_POD


def test_those_that_kueue_holds_come_by_the_age_and_the_uid_of_their_workloads() -> None:
    old = a_workload("no quota")
    turns = [
        turn_of(replace(JOB, created=None), (), workload)
        for workload in (
            replace(old, uid="a"),
            replace(old, uid="b"),
            replace(old, uid="a", created=at(1)),
        )
    ]
    assert turns == sorted(turns)
    assert len(set(turns)) == 3
    assert turn_of(JOB, (), None).uid == JOB.uid


def test_the_priority_is_that_of_who_decides() -> None:
    held = replace(a_workload("no quota"), priority=100)
    admitted = replace(a_pod(), priority=0)
    assert priority_of((), held) == 100
    assert priority_of((admitted,), held) == 0
    assert priority_of((a_pod(exit_code=1), replace(admitted, priority=5)), None) == 5
    assert priority_of((a_pod(exit_code=1),), held) == 100
    assert priority_of((), None) == 0

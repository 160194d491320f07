"""`loadBalancer`: which pool a video waits in, once and again."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase
from t2v_operator.config import OperatorConfig
from t2v_operator.core.balancing import Work
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import CreateJob, Decision, DeleteJob
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.rules.balancing import RECONSIDER_SECONDS

from tests.unit.decide.test_pools import (
    LARGE,
    MIDDLE,
    SMALL,
    TINY,
    a_catalogue,
    out_of_memory,
    the_job,
    the_status,
)
from tests.unit.observations import (
    a_pod,
    a_workload,
    an_observation,
    decided,
    reason_of,
)

ONE, THREE = {"name": "one", "gpus": 1}, {"name": "three", "gpus": 3}
YES: dict[str, Any] = {"loadBalancer": True}


def pool_of(config: OperatorConfig, load: dict[str, float], **observation: Any) -> str | None:
    return the_status(balanced(config, load, **observation)).pool


def balanced(config: OperatorConfig, load: dict[str, float], **observation: Any) -> Decision:
    spec = YES | observation.pop("spec", {})
    seen = an_observation(spec=spec, **observation)
    return decide(replace(seen, load=load), config)


def test_without_it_the_first_pool_is_taken_however_long_its_queue() -> None:
    assert pool_of(a_catalogue(ONE, THREE), {"one": 1e6}, spec={"loadBalancer": False}) == "one"


@pytest.mark.parametrize(
    ("load", "pool"),
    [
        ({}, "one"),
        ({"one": 1}, "three"),
        ({"one": 100, "three": 299}, "three"),
        ({"one": 100, "three": 300}, "one"),
        ({"one": 100, "three": 301}, "one"),
        ({"gone": 9, "three": 1}, "one"),
    ],
)
def test_with_it_the_pool_with_the_shortest_wait_is_taken(
    load: dict[str, float], pool: str
) -> None:
    decision = balanced(a_catalogue(ONE, THREE), load)
    assert the_status(decision).pool == pool
    assert decision.work == Work(pool, "tiny-shapes", 1, None)
    assert "loadBalancer" not in the_status(decision).message


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(["tiny", "small", "middle", "large"]), st.floats(0, 1e6)))
def test_a_pool_that_is_too_small_is_never_chosen(load: dict[str, float]) -> None:
    assert pool_of(a_catalogue(TINY, SMALL, MIDDLE, LARGE), load) != "tiny"


def test_a_pool_with_too_few_gpus_is_not_chosen_either() -> None:
    two = {"resources": {"gpus": 2, "memory": "64Gi"}}
    assert pool_of(a_catalogue(ONE, THREE, **two), {"three": 1e6}) == "three"


def test_a_video_that_fits_no_pool_is_refused_as_ever() -> None:
    status = the_status(balanced(a_catalogue(TINY), {}))
    assert reason_of(status) == Reason.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("pools", "spec", "model", "says"),
    [
        pytest.param(
            (THREE,),
            {},
            {},
            "loadBalancer has nothing to balance: three is the only pool for this",
            id="there is one pool",
        ),
        pytest.param(
            (TINY, LARGE),
            {},
            {},
            "loadBalancer has nothing to balance: large is the only pool for this",
            id="one pool holds it",
        ),
        pytest.param(
            (ONE, THREE),
            {"pool": "three"},
            {},
            "loadBalancer has no effect: pool three is asked for",
            id="its pool is named",
        ),
        pytest.param(
            (ONE, THREE),
            {},
            {"resources": {"gpus": 0}},
            "loadBalancer has no effect: model tiny-shapes needs no GPU",
            id="it needs no GPU",
        ),
    ],
)
def test_where_there_is_nothing_to_balance_the_status_says_so(
    pools: tuple[dict[str, Any], ...], spec: dict[str, Any], model: dict[str, Any], says: str
) -> None:
    config = a_catalogue(*pools, **model)
    status = the_status(balanced(config, {"three": 1e6}, spec=spec))
    plain = the_status(decided(config, spec=spec))
    assert status.message == f"{plain.message}; {says}"
    assert status.pool == plain.pool


def test_it_is_decided_once() -> None:
    config = a_catalogue(ONE, THREE)
    made = balanced(config, {})
    status = the_status(made)
    later = {"one": 1e6}
    assert balanced(config, later, status=status, job=the_job(made)).actions == ()
    assert pool_of(config, later, job=the_job(made)) == "one", "its status was never written"
    again = balanced(config, later, status=status)
    assert (the_status(again).pool, len(the_status(again).attempts)) == ("one", 1), "it was deleted"


def test_a_pool_that_is_gone_from_the_configuration_is_decided_anew() -> None:
    status = the_status(balanced(a_catalogue(ONE, THREE), {}))
    assert pool_of(a_catalogue(THREE, LARGE), {"three": 1}, status=status) == "large"


def test_one_that_ran_out_of_memory_goes_to_the_smallest_larger_pool_as_ever() -> None:
    config = a_catalogue(SMALL, LARGE, MIDDLE)
    load = {"large": 1.0, "middle": 1e6}
    made = balanced(config, load)
    assert the_status(made).pool == "small"
    job = the_job(made, "PodFailurePolicy")
    moved = balanced(config, load, status=the_status(made), job=job, pods=(out_of_memory("small"),))
    assert reason_of(the_status(moved)) == "LargerPool"
    assert pool_of(config, load, status=the_status(moved)) == "middle"


# Reconsidered


def reconsidering(*pools: dict[str, Any], kueue: bool = False, **balancing: Any) -> OperatorConfig:
    document = a_catalogue(*(pools or (ONE, THREE)), kueue=kueue).document()
    section = {"reconsider": True, **balancing}
    return OperatorConfig.parse(document | {"loadBalancing": section})


BUSY = {"one": 200.0}


def waiting(config: OperatorConfig, load: dict[str, float], **seen: Any) -> Decision:
    """What follows when it waits in pool `one` under this load of others."""
    spec = {name: value for name, value in seen.get("spec", {}).items() if name != "suspend"}
    made = balanced(config, {}, spec=spec)
    observed = {"status": the_status(made), "job": the_job(made)} | seen
    return balanced(config, load, **observed)


def moves(decision: Decision) -> bool:
    return [type(each) for each in decision.actions] == [DeleteJob]


def test_a_video_moves_to_a_pool_that_is_freer_by_now() -> None:
    config = reconsidering()
    made = balanced(config, {})
    queued = a_pod(unschedulable="0/2 nodes are available")
    decision = waiting(config, BUSY, pods=(queued,))
    status = the_status(decision)
    assert moves(decision)
    assert decision.must_be_confirmed
    assert (status.phase, reason_of(status), status.pool) == (Phase.PENDING, "FreerPool", "three")
    assert status.message == "it would wait for less long in pool three; its Job is made anew there"
    assert decision.work == Work("three", "tiny-shapes", 1, None)

    still = balanced(config, {}, status=status, job=the_job(made))
    assert moves(still), "its status was written, its Job not yet removed"
    going = balanced(config, {}, status=status, job=the_job(made, deleting=True))
    assert (going.actions, the_status(going).pool) == ((), "three")
    assert going.work == decision.work
    again = balanced(config, {"three": 1e6}, status=the_status(going))
    assert [type(each) for each in again.actions] == [CreateJob]
    assert (the_status(again).pool, the_status(again).attempts) == ("three", ())
    there = balanced(config, {}, status=status, job=the_job(again))
    assert (there.actions, the_status(there).phase) == ((), Phase.QUEUED)


def test_unless_it_is_configured_it_stays() -> None:
    decision = waiting(a_catalogue(ONE, THREE), BUSY)
    assert decision.actions == ()
    assert decision.again_seconds != RECONSIDER_SECONDS


def test_it_moves_for_the_least_gain_and_not_for_less() -> None:
    config = reconsidering(minimumGainSeconds=50)
    assert moves(waiting(config, {"one": 200, "three": 450}))
    assert waiting(config, {"one": 200, "three": 451}).actions == ()


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_it_never_moves_back_for_the_same_load(one: float, three: float) -> None:
    """The load is that of others: it is the same wherever this one waits."""
    config = reconsidering(minimumGainSeconds=1)
    load = {"one": one, "three": three}
    decision = waiting(config, load)
    if moves(decision):
        status = the_status(decision)
        again = balanced(config, load, status=status)
        after = balanced(config, load, status=the_status(again), job=the_job(again))
        assert after.actions == ()


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param({"pods": (a_pod(running=True),)}, id="its pod runs"),
        pytest.param({"pods": (a_pod(),)}, id="its pod has a node"),
        pytest.param({"pods": (a_pod(exit_code=5),)}, id="a pod of it ran"),
        pytest.param({"spec": {"suspend": True}}, id="it is suspended"),
        pytest.param(
            {"key": KeyProblem(Waiting.NOT_ANSWERED, "nobody answers")}, id="its key is not read"
        ),
    ],
)
def test_a_video_stays_where(seen: dict[str, Any]) -> None:
    assert not moves(waiting(reconsidering(), BUSY, **seen))


def test_what_somebody_suspended_by_hand_stays() -> None:
    config = reconsidering()
    job = replace(the_job(balanced(config, {})), suspended=True)
    assert not moves(waiting(config, BUSY, job=job))


def test_a_video_that_does_not_ask_for_it_stays() -> None:
    made = decided(a_catalogue(ONE, THREE))
    seen = {"status": the_status(made), "job": the_job(made), "spec": {"loadBalancer": False}}
    assert balanced(reconsidering(), BUSY, **seen).actions == ()


def test_what_waits_in_a_queue_moves_until_the_queue_has_let_it_in() -> None:
    pools = (ONE | {"queueName": "small"}, THREE | {"queueName": "large"})
    config = reconsidering(*pools, kueue=True)
    assert moves(waiting(config, BUSY, workload=a_workload("no quota")))
    assert not moves(waiting(config, BUSY, workload=a_workload(has_quota=True)))
    deactivated = a_workload("no quota", active=False)
    assert not moves(waiting(config, BUSY, workload=deactivated)), "an administrator holds it"
    named = {"spec": {"queueName": "own"}}
    assert not moves(waiting(config, BUSY, workload=a_workload("no quota"), **named))


def test_what_other_clusters_run_stays() -> None:
    far = ONE | {"queueName": "far", "managedBy": "kueue.x-k8s.io/multikueue"}
    assert not moves(waiting(reconsidering(far, THREE, kueue=True), BUSY))


def test_a_freer_pool_that_is_too_small_is_no_place_to_go() -> None:
    config = reconsidering(SMALL, TINY, LARGE)
    assert waiting(config, {"small": 1e6, "large": 1e6}).actions == ()


def test_what_waits_is_looked_at_again_soon() -> None:
    assert waiting(reconsidering(), {}, pods=(a_pod(unschedulable="no"),)).again_seconds == (
        RECONSIDER_SECONDS
    )

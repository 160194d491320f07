"""Somebody empties the folder of one node: that node alone gets its model again."""

import pytest
from t2v_api.reasons import ModelReason
from t2v_api.video_model import NodeStatus
from t2v_operator.core.models.events import model_notices
from t2v_operator.core.models.missing import Missed

from tests.unit.model_observations import COMMIT, OTHER_COMMIT, a_node
from tests.unit.models.test_on_nodes import BIG, PINNED, READY, World, having, said
from tests.unit.observations import at

LOST = (ModelReason.MISSING_IN_CACHE, "Reconciling")


def filled(*nodes: str) -> World:
    """A branch that they fetched at second 100."""
    world = World(*nodes)
    world.is_filled()
    return world


def miss(world: World, node: str | None, since: float, revision: str = COMMIT) -> None:
    """A pod that began then did not find it there."""
    world.missed.append(Missed(revision, at(since), node))
    world.now = since + 1800


def entry(world: World, node: str) -> NodeStatus:
    status = world.look()
    (found,) = (each for each in status.nodes if each.name == node)
    return found


def test_a_node_that_lost_it_gets_the_same_commit_again_while_the_others_go_on() -> None:
    world = filled("gpu-1", "gpu-2")
    before = world.look()
    miss(world, "gpu-1", 200)
    lost = world.look()
    assert (said(lost), having(lost)) == (READY, {"gpu-1": False, "gpu-2": True})
    assert "gpu-1: a video's pod did not find it in the model cache any more" in lost.message
    (told,) = model_notices(before, lost)
    assert (told.kind, told.reason) == ("Warning", ModelReason.MISSING_IN_CACHE)
    assert world.jobs == {}, "first it is written down"
    assert world.decision.again_seconds == 0
    world.look()
    assert list(world.jobs) == ["gpu-1"]
    (container,) = world.jobs["gpu-1"]["spec"]["template"]["spec"]["containers"]
    assert any(COMMIT in each.get("value", "") for each in container["env"]), "not the branch"
    world.now += 60
    world.ends("gpu-1", fetched_bytes=BIG)
    again = world.is_filled()
    assert having(again) == {"gpu-1": True, "gpu-2": True}
    assert (again.missing_time, again.fetched_time) == (at(200), at(world.now))
    assert entry(world, "gpu-1").fetched_time == at(world.now)
    assert entry(world, "gpu-2").fetched_time == at(100)
    assert (world.look(), world.jobs) == (again, {}), "who looked before it came says nothing"


def test_the_only_node_that_lost_it_makes_it_not_ready() -> None:
    world = filled("gpu-1")
    miss(world, "gpu-1", 200)
    assert said(world.look()) == LOST
    assert said(world.look())[0] == ModelReason.PREFETCHING
    status = world.is_filled()
    assert (said(status), status.commit) == (READY, COMMIT)


@pytest.mark.parametrize(
    ("node", "since", "revision"),
    [
        ("gpu-1", 99, COMMIT),
        ("gpu-1", 200, OTHER_COMMIT),
        ("gpu-9", 200, COMMIT),
        (None, 200, COMMIT),
    ],
    ids=["before it came", "of another commit", "on no node of these", "of a node nobody knows"],
)
def test_what_says_nothing_of_a_node(node: str | None, since: float, revision: str) -> None:
    world = filled("gpu-1", "gpu-2")
    before = world.look()
    miss(world, node, since, revision)
    assert (world.look(), world.jobs) == (before, {})


def test_what_came_to_another_node_since_excuses_nobody() -> None:
    world = filled("gpu-1")
    world.now = 500
    world.nodes["gpu-2"] = a_node("gpu-2")
    world.is_filled()
    miss(world, "gpu-1", 200)
    assert having(world.look()) == {"gpu-1": False, "gpu-2": True}


def test_another_disk_under_the_same_name_has_lost_nothing() -> None:
    world = filled("gpu-1", "gpu-2")
    miss(world, "gpu-1", 200)
    world.nodes["gpu-1"] = a_node("gpu-1", uid="another")
    world.look()
    told = entry(world, "gpu-1")
    assert (told.ready, told.missing_time) == (False, None)


def test_a_node_where_all_of_it_was_there_is_believed_for_an_hour() -> None:
    """Who misses it there sees another folder."""
    world = filled("gpu-1", "gpu-2")
    miss(world, "gpu-1", 200)
    world.look()
    world.look()
    world.ends("gpu-1", fetched_bytes=0)
    world.is_filled()
    came = world.now
    miss(world, "gpu-1", came + 60)
    assert having(world.look()) == {"gpu-1": True, "gpu-2": True}
    miss(world, "gpu-2", came + 60)
    assert having(world.look()) == {"gpu-1": True, "gpu-2": False}, "about itself alone"
    miss(world, "gpu-1", came + 3700)
    assert not entry(world, "gpu-1").ready


def test_a_loss_before_the_job_of_the_first_fetch_is_gone() -> None:
    world = World("gpu-1", **PINNED)
    world.look()
    world.ends("gpu-1")
    world.look()
    first = world.jobs["gpu-1"]["metadata"]["name"]
    miss(world, "gpu-1", 200)
    world.look()
    world.look()
    assert world.jobs["gpu-1"]["metadata"]["name"] != first


def test_a_node_that_cannot_get_it_again_is_told_and_not_tried_for_ever() -> None:
    world = filled("gpu-1", "gpu-2")
    miss(world, "gpu-1", 200)
    world.look()
    world.look()
    world.fails("gpu-1")
    status = world.look()
    assert (said(status), having(status)) == (READY, {"gpu-1": False, "gpu-2": True})
    assert "gpu-1: no space left; to try again," in status.message
    assert (world.look(), world.decision.actions) == (status, ())


def test_what_came_onto_all_nodes_at_one_look_is_added_up() -> None:
    world = World("gpu-1", "gpu-2", "gpu-3", **PINNED)
    world.look()
    world.ends("gpu-1", fetched_bytes=5)
    world.ends("gpu-2", fetched_bytes=7)
    status = world.look()
    assert (status.fetched_bytes, status.fetch_seconds) == (12, 48)
    assert status.fetched_time == at(100)
    world.now = 200
    assert world.look().fetched_time == at(100)
    world.ends("gpu-3", fetched_bytes=0)
    status = world.look()
    assert (status.fetched_bytes, status.fetched_time) == (0, at(200))
    assert [each.fetched_bytes for each in status.nodes] == [5, 7, 0]

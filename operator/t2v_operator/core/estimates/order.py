"""In which order those that wait for a pool's GPUs are given them. Pure.

Kubernetes's scheduler takes pods of one priority by age, at first. But a pod that it tried in vain
waits for some seconds before it is tried again, and where a GPU is free meanwhile a younger one
gets it. Whom it tried longest ago comes first, then: those that saw another one go first are last.
"""

from typing import NamedTuple

from t2v_operator.core.estimates.line import InLine, Key, Standing, Turn


class Place(NamedTuple):
    """Where a video stands in its queue: who has the smaller one comes first."""

    standing: Standing
    urgency: int
    tries: int
    """How often others were passed over before it was tried last."""
    turn: Turn
    key: Key


def place_of(key: Key, each: InLine, tries: int) -> Place:
    """The place of a video that was tried last when others had been passed over so often.

    Nobody but the scheduler tries: Kueue goes by age alone.
    """
    standing = each.turn.standing
    is_tried = standing is Standing.WAITS_FOR_A_NODE
    return Place(standing, -each.priority, tries if is_tried else 0, each.turn, key)


def gets_its_gpus(before: InLine, after: InLine) -> bool:
    """Whether the pod that waited for a node is given one.

    Of a pod that has one when it is first seen nobody knows who waited then.
    """
    waited = before.turn.standing is Standing.WAITS_FOR_A_NODE
    return waited and after.has_its_gpus and before.turn.uid == after.turn.uid


def waits_on(before: InLine, after: InLine) -> bool:
    """Whether it is still the same pod, or Workload, that waits, in the same pool."""
    same = before.turn.standing == after.turn.standing and before.turn.uid == after.turn.uid
    return same and before.pool == after.pool


def is_passed_by(waits: Place, other: Place) -> bool:
    """Whether the scheduler has just tried it in vain as it gives the other, behind it, GPUs."""
    return waits.urgency == other.urgency and waits.standing is Standing.WAITS_FOR_A_NODE

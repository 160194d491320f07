"""The rule for caches that each node has of its own, and what the status says of them.

docs/design/models-on-nodes.md; the neighbour that decides which node fetches when is `filling`.
"""

from typing import Any

from t2v_api.reasons import ModelReason
from t2v_api.video_model import NodeStatus, PoolStatus, VideoModelStatus

from t2v_operator.core.models.filling import Filled, fill, is_said
from t2v_operator.core.models.nodes import ObservedNode, is_of_pool
from t2v_operator.core.models.prefetch_job import prefetch_pools
from t2v_operator.core.models.situation import ModelDecision, ModelSituation

REMOVE_SECONDS = 1.0
"""After it stands on the status that a node has the model, its Job is removed."""
NAMED_NODES = 3
"""So many are told of; the others are counted."""


def each_node_gets_it(situation: ModelSituation) -> ModelDecision | None:
    """A new node as well, while the others go on; ready is a model that all had once."""
    if not situation.config.model_cache.is_of_each_node:
        return None
    filled = fill(situation)
    reason = _reason(situation, filled)
    status = situation.status(
        reason,
        _words(situation, filled, reason),
        **_what_is_there(situation, filled),
        percent=_percent(situation, filled),
        eta_seconds=filled.eta_seconds,
        pools=_pools(situation, filled),
        **_what_came(situation, filled),
        **_what_is_known_of_nodes(situation, filled),
    )
    again_seconds = REMOVE_SECONDS if _new(situation, filled) else filled.again_seconds
    return ModelDecision(status, tuple(filled.actions), again_seconds)


def _reason(situation: ModelSituation, filled: Filled) -> ModelReason:
    lacking = any(node.takes_pods and node.name not in filled.ready for node in situation.members)
    if not (lacking or filled.ready or filled.failed or filled.on_the_way):
        # Who makes nodes for pods that wait makes one for the first video.
        return ModelReason.AVAILABLE if filled.commits else ModelReason.NO_NODE
    if filled.ready and (not lacking or _was_ready(situation)):
        return ModelReason.AVAILABLE
    if filled.failed and not filled.on_the_way:
        return ModelReason.PREFETCH_FAILED
    is_lost = any(
        is_said(each, ModelReason.MISSING_IN_CACHE) for each in filled.on_the_way.values()
    )
    return ModelReason.MISSING_IN_CACHE if is_lost else ModelReason.PREFETCHING


def _was_ready(situation: ModelSituation) -> bool:
    before = situation.model.status
    conditions = before.conditions if before and situation.is_of_this_fetch else ()
    return any((each.type, each.status) == ("Ready", "True") for each in conditions)


def _words(situation: ModelSituation, filled: Filled, reason: ModelReason) -> str:
    count, pools = len(situation.members), prefetch_pools(situation.model, situation.config)
    names = ", ".join(pool.name for pool in pools)
    if not count:
        none = f"pool {names} has no node now"
        if reason is ModelReason.NO_NODE:
            return f"{none}, and only one can find out what {situation.spec.sources} names"
        return f"ready: {none}; one that comes gets it, and its first video waits for that"
    beginning = f"on {len(filled.ready)} of {count} nodes"
    if reason is ModelReason.AVAILABLE and filled.commits:
        beginning = f"ready at commit {str(filled.commits[0])[:12]} {beginning}"
    lacking = filled.failed | filled.on_the_way
    told = [f"{name}: {status.message}" for name, status in lacking.items()]
    told += [f"{name}: its turn comes" for name in filled.turn_comes]
    more = len(told) - NAMED_NODES
    return "; ".join((beginning, *told[:NAMED_NODES], *([f"and {more} more"] if more > 0 else [])))


def _what_is_there(situation: ModelSituation, filled: Filled) -> dict[str, Any]:
    """Of one node that has it: all have the same."""
    whole = next(iter(filled.ready.values()), None)
    if whole is not None:
        names = ("sources", "cache", "commit", "motion_adapter_commit", "sha256", "converted_to")
        return {name: getattr(whole, name) for name in (*names, "bytes", "total_bytes")}
    if filled.commits is None:
        return {}
    commit, of_adapter = filled.commits
    return {
        "sources": situation.spec.sources,
        "cache": situation.config.model_cache.named,
        "commit": commit,
        "motion_adapter_commit": of_adapter,
    }


def _new(situation: ModelSituation, filled: Filled) -> list[VideoModelStatus]:
    """Of the nodes that have come to have it."""
    return [
        filled.ready[node.name]
        for node in situation.members
        if node.name in filled.ready and not situation.has_it(node)
    ]


def _what_came(situation: ModelSituation, filled: Filled) -> dict[str, Any]:
    """Onto the nodes that have come to have it, all together."""
    new = _new(situation, filled)
    if not new:
        return {}
    came = [each.fetched_bytes for each in new if each.fetched_bytes is not None]
    took = [each.fetch_seconds for each in new if each.fetch_seconds is not None]
    return {
        "fetched_time": situation.now,
        "fetched_bytes": sum(came) if came else None,
        "fetch_seconds": max(took, default=None),
    }


def _what_is_known_of_nodes(situation: ModelSituation, filled: Filled) -> dict[str, Any]:
    nodes = tuple(_node(node, situation, filled) for node in situation.members)
    before = situation.model.status
    missed = [each.missing_time for each in (*nodes, before) if each and each.missing_time]
    return {"nodes": nodes, "missing_time": max(missed, default=None)}


def _node(node: ObservedNode, situation: ModelSituation, filled: Filled) -> NodeStatus:
    before, decided = situation.told_of(node), filled.of(node.name)
    is_ready = node.name in filled.ready
    if before and before.ready == is_ready:
        return before
    entry = NodeStatus(name=node.name, uid=node.uid, ready=is_ready)
    names = ("fetched_time", "fetched_bytes", "missing_time")
    return entry.model_copy(update={each: getattr(decided, each) for each in names if decided})


def _percent(situation: ModelSituation, filled: Filled) -> int | None:
    """Of all nodes together."""
    if not situation.members:
        return None
    parts = sum(status.percent or 0 for status in filled.on_the_way.values())
    return (100 * len(filled.ready) + parts) // len(situation.members)


def _pools(situation: ModelSituation, filled: Filled) -> tuple[PoolStatus, ...]:
    needs_gpu = situation.spec.resources.gpus > 0
    found = []
    for pool in prefetch_pools(situation.model, situation.config):
        nodes = [node for node in situation.members if is_of_pool(node, pool, needs_gpu)]
        count = sum(node.name in filled.ready for node in nodes)
        found.append(PoolStatus(name=pool.name, ready=count == len(nodes), nodes=count))
    return tuple(found)

"""The rule for caches that each node has of its own: every node of the model's pools is filled.

What the Job of one node has come to is decided as if that node's cache was the only one; here all
of them become one status. docs/design/models-on-nodes.md
"""

from dataclasses import dataclass, field
from typing import Any

from t2v_api.profile import COMMIT, ModelSource
from t2v_api.reasons import ModelReason
from t2v_api.video_model import NodeStatus, PoolStatus, VideoModelSpec, VideoModelStatus

from t2v_operator.core.decision import LOOK_AGAIN_SECONDS, Action
from t2v_operator.core.models.nodes import ObservedNode, is_of_pool
from t2v_operator.core.models.prefetch_job import Commits, prefetch_pools
from t2v_operator.core.models.prefetching import FETCHING
from t2v_operator.core.models.situation import ModelDecision, ModelSituation
from t2v_operator.core.situation import removals

AT_ONCE = 8
"""So many nodes fetch at a time: a hub counts requests. One that failed keeps its place, so that
what fails everywhere is not tried everywhere."""
NAMED_NODES = 3
"""So many are told of; the others are counted."""


def each_node_gets_it(situation: ModelSituation) -> ModelDecision | None:
    """A new node as well, while the others go on; ready is a model that all had once."""
    if not situation.config.model_cache.is_of_each_node:
        return None
    filled = _fill(situation)
    reason = _reason(situation, filled)
    status = situation.status(
        reason,
        _words(situation, filled, reason),
        **_what_is_there(situation, filled),
        percent=_percent(situation, filled),
        eta_seconds=filled.eta_seconds,
        pools=_pools(situation, filled),
        nodes=tuple(
            NodeStatus(name=node.name, uid=node.uid, ready=node.name in filled.ready)
            for node in situation.members
        ),
    )
    return ModelDecision(status, tuple(filled.actions), filled.again_seconds)


@dataclass
class _Filled:
    """What is decided about each node, by its name."""

    commits: Commits | None
    """What all of them get; None until one of them has found out what a branch or tag names."""
    told: dict[str, VideoModelStatus] = field(default_factory=dict)
    going: int = 0
    """How many fetch now. Who takes no pods just now may never go on, and holds up nobody."""
    turn_comes: list[str] = field(default_factory=list)
    """Others come before these."""
    actions: list[Action] = field(default_factory=list)
    again_seconds: float | None = None

    @property
    def ready(self) -> dict[str, VideoModelStatus]:
        return self._with(ModelReason.AVAILABLE)

    @property
    def failed(self) -> dict[str, VideoModelStatus]:
        return self._with(ModelReason.PREFETCH_FAILED)

    @property
    def on_the_way(self) -> dict[str, VideoModelStatus]:
        return self._with(ModelReason.PREFETCHING)

    @property
    def eta_seconds(self) -> float | None:
        """Of the last of those that fetch now; None where others follow, or one cannot tell."""
        etas = [status.eta_seconds for status in self.on_the_way.values()]
        known = [each for each in etas if each is not None]
        return max(known, default=None) if len(known) == len(etas) and not self.turn_comes else None

    @property
    def may_begin(self) -> bool:
        """Whether one more node may; the first alone finds out which commit it is."""
        begun = self.going + len(self.failed)
        return begun < AT_ONCE and (self.commits is not None or not self.going)

    def _with(self, reason: ModelReason) -> dict[str, VideoModelStatus]:
        return {name: status for name, status in self.told.items() if _is(status, reason)}


def _is(status: VideoModelStatus, reason: ModelReason) -> bool:
    return status.conditions[0].reason == reason


def _fill(situation: ModelSituation) -> _Filled:
    filled = _Filled(_known_commits(situation))
    places = [(node, situation.at(node, None)) for node in situation.members]
    # What was begun goes before what is to begin, whatever the nodes are called.
    places.sort(key=lambda each: (not situation.has_it(each[0]), each[1].job is None))
    for node, there in places:
        is_new = there.job is None and not situation.has_it(node)
        if is_new and not (node.takes_pods and filled.may_begin):
            if node.takes_pods:
                filled.turn_comes.append(node.name)
            continue
        _decide_at(node, situation, filled)
    return filled


def _decide_at(node: ObservedNode, situation: ModelSituation, filled: _Filled) -> None:
    there = situation.at(node, filled.commits)
    decisions = (rule(there) for rule in FETCHING)
    decision = _of_the_same(next(each for each in decisions if each), there)
    assert decision.status
    filled.told[node.name] = decision.status
    filled.actions += decision.actions
    filled.going += node.takes_pods and _is(decision.status, ModelReason.PREFETCHING)
    if decision.again_seconds is not None:
        sooner = filled.again_seconds or LOOK_AGAIN_SECONDS
        filled.again_seconds = min(sooner, decision.again_seconds)
    if filled.commits is None and _is(decision.status, ModelReason.AVAILABLE):
        filled.commits = _commits_of(decision.status)


def _of_the_same(decision: ModelDecision, there: ModelSituation) -> ModelDecision:
    """Where a branch moved while two nodes looked what it names, one of them fetches again."""
    status, job = decision.status, there.job
    if status is None or job is None or not _is(status, ModelReason.AVAILABLE):
        return decision
    if there.commits in (None, _commits_of(status)):
        return decision
    message = f"it fetched commit {str(status.commit)[:12]}, and the others have another"
    again = there.status(ModelReason.PREFETCHING, message, percent=0)
    return ModelDecision(again, removals((job,)))


def _commits_of(status: VideoModelStatus) -> Commits:
    return status.commit, status.motion_adapter_commit


def _known_commits(situation: ModelSituation) -> Commits | None:
    """From the spec, where it names nothing that may move, or from the node that was first."""
    before, spec = situation.model.status, situation.spec
    if before and before.commit and situation.is_of_this_fetch:
        return _commits_of(before)
    hubs = [each for each in (spec.source, spec.motion_adapter) if each and each.hub]
    if not all(COMMIT.fullmatch(each.revision or "") for each in hubs):
        return None
    return _commits(spec)


def _commits(spec: VideoModelSpec) -> Commits:
    def of(source: ModelSource | None) -> str | None:
        return source.revision if source and source.hub else None

    return of(spec.source), of(spec.motion_adapter)


def _reason(situation: ModelSituation, filled: _Filled) -> ModelReason:
    lacking = [
        node.name
        for node in situation.members
        if node.name not in filled.ready
        # A node that failed is let alone once somebody cordons it.
        and (node.takes_pods or (node.name in filled.told and node.name not in filled.failed))
    ]
    if not situation.members or not (lacking or filled.ready):
        # Who makes nodes for pods that wait makes one for the first video.
        return ModelReason.AVAILABLE if filled.commits else ModelReason.NO_NODE
    if not lacking or (filled.ready and _was_ready(situation)):
        return ModelReason.AVAILABLE
    is_stuck = filled.failed and not filled.on_the_way
    return ModelReason.PREFETCH_FAILED if is_stuck else ModelReason.PREFETCHING


def _was_ready(situation: ModelSituation) -> bool:
    before = situation.model.status
    conditions = before.conditions if before and situation.is_of_this_fetch else ()
    return any((each.type, each.status) == ("Ready", "True") for each in conditions)


def _words(situation: ModelSituation, filled: _Filled, reason: ModelReason) -> str:
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


def _what_is_there(situation: ModelSituation, filled: _Filled) -> dict[str, Any]:
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


def _percent(situation: ModelSituation, filled: _Filled) -> int | None:
    """Of all nodes together."""
    if not situation.members:
        return None
    parts = (100 if n in filled.ready else s.percent or 0 for n, s in filled.told.items())
    return sum(parts) // len(situation.members)


def _pools(situation: ModelSituation, filled: _Filled) -> tuple[PoolStatus, ...]:
    needs_gpu = situation.spec.resources.gpus > 0
    found = []
    for pool in prefetch_pools(situation.model, situation.config):
        nodes = [node for node in situation.members if is_of_pool(node, pool, needs_gpu)]
        count = sum(node.name in filled.ready for node in nodes)
        found.append(PoolStatus(name=pool.name, ready=count == len(nodes), nodes=count))
    return tuple(found)

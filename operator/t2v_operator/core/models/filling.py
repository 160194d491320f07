"""Which node fetches a model when, where each has a cache of its own. Pure.

What the Job of one node has come to is decided as if that node's cache was the only one, by the
rules of `prefetching`.
"""

from dataclasses import dataclass, field

from t2v_api.profile import COMMIT, ModelSource
from t2v_api.reasons import ModelReason
from t2v_api.video_model import VideoModelSpec, VideoModelStatus

from t2v_operator.core.decision import LOOK_AGAIN_SECONDS, Action
from t2v_operator.core.models.nodes import ObservedNode
from t2v_operator.core.models.prefetch_job import Commits
from t2v_operator.core.models.prefetching import FETCHING
from t2v_operator.core.models.situation import ModelDecision, ModelSituation
from t2v_operator.core.situation import removals

AT_ONCE = 8
"""So many nodes fetch at a time: a hub counts requests. One that failed keeps its place, so that
what fails everywhere is not tried everywhere."""


@dataclass
class Filled:
    """What is decided about each node, by its name."""

    commits: Commits | None
    """What all of them get; None until one of them has found out what a branch or tag names."""
    ready: dict[str, VideoModelStatus] = field(default_factory=dict)
    failed: dict[str, VideoModelStatus] = field(default_factory=dict)
    on_the_way: dict[str, VideoModelStatus] = field(default_factory=dict)
    going: int = 0
    """How many fetch now. Who takes no pods just now may never go on, and holds up nobody."""
    turn_comes: list[str] = field(default_factory=list)
    """Others come before these."""
    actions: list[Action] = field(default_factory=list)
    again_seconds: float | None = None

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

    def of(self, name: str) -> VideoModelStatus | None:
        """What was decided about this node; None where it waits for its turn."""
        return self.ready.get(name) or self.failed.get(name) or self.on_the_way.get(name)

    def take(self, name: str, status: VideoModelStatus) -> None:
        """What is said of one node."""
        kinds = {ModelReason.AVAILABLE: self.ready, ModelReason.PREFETCH_FAILED: self.failed}
        reason = ModelReason(status.conditions[0].reason)
        kinds.get(reason, self.on_the_way)[name] = status


def is_said(status: VideoModelStatus, reason: ModelReason) -> bool:
    """Whether this is why it is ready, or is not."""
    return status.conditions[0].reason == reason


def fill(situation: ModelSituation) -> Filled:
    """Decide about each node that needs it, what was begun first."""
    filled = Filled(_known_commits(situation))
    jobs = {node.name: situation.at(node, None).job for node in situation.members}
    members = sorted(
        situation.members,
        key=lambda node: (not situation.has_it(node), jobs[node.name] is None, node.name),
    )
    known: VideoModelStatus | None = None
    for node in members:
        if known and situation.has_it(node) and node.name not in situation.missed_on:
            filled.take(node.name, known)
            continue
        is_new = jobs[node.name] is None and not situation.has_it(node)
        if is_new and not (node.takes_pods and filled.may_begin):
            if node.takes_pods:
                filled.turn_comes.append(node.name)
            continue
        _decide_at(node, situation, filled)
        known = known or filled.ready.get(node.name)
    return filled


def _decide_at(node: ObservedNode, situation: ModelSituation, filled: Filled) -> None:
    there = situation.at(node, filled.commits)
    decisions = (rule(there) for rule in FETCHING)
    decision = _of_the_same(next(each for each in decisions if each), there)
    assert decision.status
    filled.take(node.name, decision.status)
    filled.actions += decision.actions
    filled.going += node.takes_pods and is_said(decision.status, ModelReason.PREFETCHING)
    if decision.again_seconds is not None:
        before = filled.again_seconds
        sooner = LOOK_AGAIN_SECONDS if before is None else before
        filled.again_seconds = min(sooner, decision.again_seconds)
    if filled.commits is None and is_said(decision.status, ModelReason.AVAILABLE):
        filled.commits = _commits_of(decision.status)


def _of_the_same(decision: ModelDecision, there: ModelSituation) -> ModelDecision:
    """Where a branch moved while two nodes looked what it names, one of them fetches again."""
    status, job = decision.status, there.job
    if status is None or job is None or not is_said(status, ModelReason.AVAILABLE):
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

"""Rules about a video that waits in its pool although another one is freer by now."""

from dataclasses import replace

from t2v_api.reasons import Waiting
from t2v_api.resource import Phase

from t2v_operator.core.balancing import wait_seconds, work_in
from t2v_operator.core.decision import LOOK_AGAIN_SECONDS, Decision
from t2v_operator.core.estimate import estimate
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.pools import placed
from t2v_operator.core.request import ResolvedJob, resolve
from t2v_operator.core.situation import Situation, removals
from t2v_operator.core.status import reason_of
from t2v_operator.errors import RequestRefused

RECONSIDER_SECONDS = 60.0
"""How often the pools of a video that waits are compared again, where that is configured."""


def a_video_that_waits_moves_to_a_freer_pool(situation: Situation) -> Decision | None:
    """Its Job is removed first: the next one has its name. The status says where it goes on."""
    there = _on_its_way_to(situation) or _freer_pool(situation)
    if there is None:
        return None
    pool = there.pool.name
    message = f"it would wait for less long in pool {pool}; its Job is made anew there"
    # Pending: it has no Job that could be missed.
    status = situation.on_the_way(Phase.PENDING, Waiting.FREER_POOL, message)
    return Decision(
        status.model_copy(update={"pool": pool}),
        removals((situation.job,)),
        again_seconds=LOOK_AGAIN_SECONDS,
        work=work_in(there, estimate(there, situation.observed.earlier_runs)),
    )


def looked_at_again(decision: Decision, situation: Situation) -> Decision:
    """Soon where it might move: nothing else tells that another pool is free."""
    if not (situation.config.load_balancing.reconsider and _may_move(situation)):
        return decision
    again = min(decision.again_seconds or RECONSIDER_SECONDS, RECONSIDER_SECONDS)
    return replace(decision, again_seconds=again)


def _may_move(situation: Situation) -> bool:
    """Whether it is queued, no GPU was taken for it yet, and it is free to run elsewhere."""
    spec, job, observed = situation.spec, situation.job, situation.observed
    if not spec.load_balancer or spec.pool or spec.queue_name or spec.suspend:
        return False
    if not job.has_local_pods or situation.history.count or isinstance(observed.key, KeyProblem):
        return False
    if _is_held(situation):
        return False
    admitted = observed.workload is not None and observed.workload.has_quota
    return not admitted and not any(pod.node or pod.started for pod in observed.pods)


def _is_held(situation: Situation) -> bool:
    """Whether somebody suspended its Job by hand, or deactivated its Workload: a new one would
    know nothing of that.
    """
    job, workload = situation.job, situation.observed.workload
    return (job.suspended and not job.queue) or (workload is not None and not workload.is_active)


def _on_its_way_to(situation: Situation) -> ResolvedJob | None:
    """Where an earlier look said that it moves, whatever was done of that."""
    previous, plan = situation.previous, situation.job.plan
    if previous is None or plan is None or reason_of(previous) != Waiting.FREER_POOL:
        return None
    if not situation.spec.load_balancer or previous.pool == plan.pool:
        return None
    if not situation.job.is_being_deleted and not _may_move(situation):
        return None
    return _placed(situation, previous.pool)


def _freer_pool(situation: Situation) -> ResolvedJob | None:
    """The pool with the shortest wait, where that is shorter than its own by the least gain.

    Its own work is in neither of both, so it does not move back for the same reason.
    """
    balancing, load = situation.config.load_balancing, situation.observed.load
    if not balancing.reconsider or situation.job.is_being_deleted or not _may_move(situation):
        return None
    plan = situation.job.plan
    own = next((p for p in situation.config.pools if plan and p.name == plan.pool), None)
    if own is None:
        return None
    most = wait_seconds(own, load) - balancing.minimum_gain_seconds
    if all(wait_seconds(pool, load) > most for pool in situation.config.pools):
        return None
    there = _placed(situation, None)
    return there if there and wait_seconds(there.pool, load) <= most else None


def _placed(situation: Situation, decided: str | None) -> ResolvedJob | None:
    try:
        resource = situation.observed.resource.as_contract
        resolved = resolve(
            resource, situation.config, catalogue=situation.catalogue, key=situation.key
        )
        latest, load = situation.history.latest, situation.observed.load
        return placed(resolved, situation.config, latest, load, decided)
    except RequestRefused:
        return None

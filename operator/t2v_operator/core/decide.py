"""Decide the next step for one TextToVideoJob. No I/O, no clock.

The tuples read like the documentation: the first rule that has something to say decides.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from t2v_api.reasons import Waiting
from t2v_api.resource import Phase

from t2v_operator.config import OperatorConfig
from t2v_operator.core.attempts import history_on
from t2v_operator.core.decision import CreateJob, Decision, Refusal
from t2v_operator.core.estimates.told import with_times
from t2v_operator.core.observed import Observed
from t2v_operator.core.rules.balancing import (
    a_video_that_waits_moves_to_a_freer_pool,
    looked_at_again,
)
from t2v_operator.core.rules.cancel import a_cancelled_video_is_given_up
from t2v_operator.core.rules.end import (
    a_complete_job_is_a_video,
    a_failed_job_is_a_failure,
    a_job_that_is_disrupted_too_often_has_failed,
    a_result_that_was_handed_in_is_a_video,
    a_runner_that_is_started_again_for_ever_has_failed,
    a_video_that_ran_out_of_gpu_memory_moves_to_a_larger_pool,
    a_video_that_was_made_as_its_job_was_suspended_is_one,
)
from t2v_operator.core.rules.job import (
    a_job_being_deleted_is_waited_for,
    a_job_of_somebody_else_is_left_alone,
    a_job_that_was_deleted_is_made_again,
    a_request_without_a_job_gets_one,
    a_suspended_resource_gets_no_job,
    brought_into_line,
)
from t2v_operator.core.rules.key import (
    a_job_whose_key_was_revoked_does_not_begin,
    a_key_that_is_not_there_is_waited_for,
    a_key_that_is_refused_makes_no_job,
)
from t2v_operator.core.rules.model import (
    a_model_that_is_not_ready_is_waited_for,
    a_video_waits_for_a_model_that_its_pod_did_not_find,
)
from t2v_operator.core.rules.request import (
    a_changed_request_first_removes_the_earlier_job,
    a_field_of_a_newer_version_is_not_ignored,
    a_finished_request_stays_finished,
    a_lost_status_is_restored,
    a_resource_being_deleted_needs_nothing,
    a_spec_that_does_not_fit_is_refused,
)
from t2v_operator.core.rules.reuse import (
    a_video_that_another_resource_makes_is_waited_for,
    a_video_that_is_stored_is_taken,
)
from t2v_operator.core.rules.waiting import (
    QUOTA,
    a_job_in_a_queue_waits_there,
    a_job_of_another_cluster_tells_by_its_own_status,
    a_job_that_something_else_suspended_is_queued,
    a_job_without_a_pod_is_queued,
    a_pod_of_a_lost_node_is_replaced,
    a_pod_that_does_not_run_yet_is_queued,
    a_running_pod_makes_the_video,
    a_suspended_job_does_not_run,
)
from t2v_operator.core.situation import Situation
from t2v_operator.core.spending import with_spending

Rule = Callable[[Situation], Decision | None]

BEFORE_THE_JOB_IS_OURS: tuple[Rule, ...] = (
    a_resource_being_deleted_needs_nothing,
    a_field_of_a_newer_version_is_not_ignored,
    a_finished_request_stays_finished,
    a_lost_status_is_restored,
    a_cancelled_video_is_given_up,
    a_changed_request_first_removes_the_earlier_job,
    a_spec_that_does_not_fit_is_refused,
    a_job_of_somebody_else_is_left_alone,
    a_suspended_resource_gets_no_job,
    a_key_that_is_not_there_is_waited_for,
    a_key_that_is_refused_makes_no_job,
    a_model_that_is_not_ready_is_waited_for,
    a_video_that_is_stored_is_taken,
    a_video_that_another_resource_makes_is_waited_for,
    a_job_that_was_deleted_is_made_again,
    a_request_without_a_job_gets_one,
)

AT_ITS_END: tuple[Rule, ...] = (
    a_result_that_was_handed_in_is_a_video,
    a_complete_job_is_a_video,
    a_video_that_was_made_as_its_job_was_suspended_is_one,
    a_video_that_ran_out_of_gpu_memory_moves_to_a_larger_pool,
    a_video_waits_for_a_model_that_its_pod_did_not_find,
    a_failed_job_is_a_failure,
    a_job_whose_key_was_revoked_does_not_begin,
    a_video_that_waits_moves_to_a_freer_pool,
    a_job_being_deleted_is_waited_for,
    a_job_that_is_disrupted_too_often_has_failed,
    a_runner_that_is_started_again_for_ever_has_failed,
)

ON_ITS_WAY: tuple[Rule, ...] = (
    a_pod_of_a_lost_node_is_replaced,
    a_suspended_job_does_not_run,
    a_running_pod_makes_the_video,
    a_job_in_a_queue_waits_there,
    a_job_that_something_else_suspended_is_queued,
    a_job_of_another_cluster_tells_by_its_own_status,
    a_pod_that_does_not_run_yet_is_queued,
    a_job_without_a_pod_is_queued,
)


def decide(observed: Observed, config: OperatorConfig) -> Decision:
    """The next step: the first rule that applies says it."""
    situation = Situation(observed, config)
    decision = _decided(situation)
    if decision.status is None:
        return decision
    status = with_spending(decision.status, situation, _key_id(situation, decision))
    status = with_times(status, observed.resource.status, observed.times, observed.now)
    return replace(decision, status=status)


def _decided(situation: Situation) -> Decision:
    decision = _first((*BEFORE_THE_JOB_IS_OURS, *AT_ITS_END), situation)
    if decision:
        return decision
    actions, after = brought_into_line(situation)
    decision = _first(ON_ITS_WAY, after)
    assert decision  # the last rule always has something to say
    decision = replace(decision, actions=(*actions, *decision.actions))
    return looked_at_again(decision, after)


def refused(
    observed: Observed, decision: Decision, refusal: Refusal, config: OperatorConfig
) -> Decision:
    """What follows when the API server does not do one of `decision`'s actions.

    What was decided beside it is not believed; it is tried again, later and later.
    """
    situation = Situation(observed, config)
    if observed.resource.is_finished:
        return Decision(decision.status)
    creates = isinstance(refusal.action, CreateJob)
    verb = "refused" if refusal.is_final else "could not take"
    what = "the Job" if creates else "a change of the Job"
    message = f"the API server {verb} {what}: {refusal.complaint}"
    history = history_on(decision.status if creates else situation.previous)
    phase = situation.previous.phase if situation.previous and not creates else Phase.PENDING
    return Decision(situation.waiting(phase, _refusal_reason(refusal), message, **history.fields))


def _key_id(situation: Situation, decision: Decision) -> str | None:
    """Of the key that its Job has, or will have."""
    job, own_uid = situation.observed.job, situation.observed.resource.metadata.uid
    if job is not None:
        return job.key or None if job.owner_uid == own_uid else None
    return situation.key.id if situation.key and decision.makes_a_job else None


def _refusal_reason(refusal: Refusal) -> Waiting:
    if QUOTA in refusal.complaint:
        return Waiting.QUOTA_EXCEEDED
    if not refusal.is_final:
        return Waiting.NOT_ANSWERED
    creates = isinstance(refusal.action, CreateJob)
    return Waiting.JOB_NOT_CREATED if creates else Waiting.JOB_NOT_CHANGED


def _first(rules: Iterable[Rule], situation: Situation) -> Decision | None:
    decisions = (rule(situation) for rule in rules)
    return next((decision for decision in decisions if decision), None)

"""Decide the next step for one VideoModel. No I/O, no clock.

The tuple reads like the documentation: the first rule that has something to say decides.
"""

from collections.abc import Callable
from dataclasses import replace

from t2v_operator.core.models.on_nodes import each_node_gets_it
from t2v_operator.core.models.prefetching import FETCHING
from t2v_operator.core.models.rules import (
    a_model_being_deleted_goes_after_its_last_job,
    a_model_that_is_not_prefetched_is_ready,
    a_name_of_the_configuration_is_taken,
    a_prefetch_needs_a_cache,
    a_prefetch_needs_pools_that_are_known,
    a_spec_that_does_not_fit_is_told,
    an_image_needs_a_kubernetes_that_mounts_it,
)
from t2v_operator.core.models.situation import ModelDecision, ModelSituation
from t2v_operator.core.situation import removals

Rule = Callable[[ModelSituation], ModelDecision | None]

RULES: tuple[Rule, ...] = (
    a_model_being_deleted_goes_after_its_last_job,
    a_name_of_the_configuration_is_taken,
    a_spec_that_does_not_fit_is_told,
    an_image_needs_a_kubernetes_that_mounts_it,
    a_model_that_is_not_prefetched_is_ready,
    a_prefetch_needs_a_cache,
    a_prefetch_needs_pools_that_are_known,
    each_node_gets_it,
    *FETCHING,
)


def decide_model(situation: ModelSituation) -> ModelDecision:
    """The next step: the first rule that applies says it. What fetches an earlier spec goes."""
    decisions = (rule(situation) for rule in RULES)
    decision = next(decision for decision in decisions if decision)
    if situation.model.is_being_deleted or situation.model.spec is None:
        return decision
    return replace(decision, actions=(*removals(situation.earlier_jobs), *decision.actions))


def wants_finalizer(situation: ModelSituation) -> bool:
    """Whether the VideoModel, once it is deleted, is to stay: a Job draws with it.

    What is being deleted can lose a finalizer, and gets none any more.
    """
    model = situation.model
    is_used = bool(situation.users) and model.name not in situation.config.catalogue
    return is_used and (model.has_finalizer or not model.is_being_deleted)

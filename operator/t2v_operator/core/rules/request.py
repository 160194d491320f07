"""Rules about the resource and its request: deleted, finished, changed, not to be understood."""

from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_api.web_address import AddressRefused, check_literal

from t2v_operator.core.attempts import result_of
from t2v_operator.core.decision import LOOK_AGAIN_SECONDS, Decision
from t2v_operator.core.names import RENEW_LINKS_ANNOTATION
from t2v_operator.core.observed import ObservedJob
from t2v_operator.core.places import with_places
from t2v_operator.core.record import may_be_restored, read_record, restored_status
from t2v_operator.core.situation import Situation, removals, replacements
from t2v_operator.core.status import reason_of, with_token


def a_resource_being_deleted_needs_nothing(situation: Situation) -> Decision | None:
    """The garbage collector removes the Job and its pods."""
    return Decision(status=None) if situation.observed.resource.is_being_deleted else None


def a_finished_request_stays_finished(situation: Situation) -> Decision | None:
    """Whatever became of its Job, which is removed at once if it goes on, else after its TTL."""
    previous = situation.previous
    if previous is None or not situation.observed.resource.is_finished:
        return None
    if reason_of(previous) == Reason.WEBHOOK_REFUSED and not _webhook_is_refused(situation):
        return None
    status, earlier = _still(previous, situation), removals(situation.observed.earlier_jobs)
    job, ttl = _own_job(situation), _ttl_seconds(situation)
    if job is not None and not job.is_finished:
        return Decision(status, (*earlier, *removals((job,))))
    if ttl is None or job is None or previous.completion_time is None:
        return Decision(status, earlier)
    left = ttl - situation.seconds_since(previous.completion_time)
    if left > 0:
        return Decision(status, earlier, again_seconds=left)
    return Decision(status, (*earlier, *removals((job,))))


def a_field_of_a_newer_version_is_not_ignored(situation: Situation) -> Decision | None:
    """Whether it changes the video this version cannot know, so it makes none, and undoes nothing.

    A resource that has not changed since another version wrote its status goes on as it is.
    """
    resource = situation.observed.resource
    said_so = reason_of(resource.status) == Waiting.UNKNOWN_FIELD
    if not resource.unknown_fields or (resource.is_observed and not said_so):
        return None
    names = ", ".join(f"spec.{name}" for name in resource.unknown_fields)
    message = f"{names} is not known to this version of the operator; upgrade it, or remove that"
    status = situation.waiting(Phase.PENDING, Waiting.UNKNOWN_FIELD, message)
    if resource.status is not None and resource.status.conditions:
        # What was made stays on the status; which request it was for, only a newer version knows.
        changed = {"conditions": status.conditions, "message": status.message}
        status = resource.status.model_copy(update=changed)
    return Decision(status)


def a_lost_status_is_restored(situation: Situation) -> Decision | None:
    """From the record on the resource, unless a pod tells more. No GPU makes it again."""
    resource = situation.observed.resource
    if situation.previous is not None or result_of(situation.observed.pods):
        return None
    record = read_record(resource)
    if record is None or record.request_hash != resource.request_hash:
        return None
    if not may_be_restored(record, resource.spec):
        return None
    status = restored_status(situation.subject, record, situation.config)
    return Decision(status, removals(situation.observed.earlier_jobs))


def a_changed_request_first_removes_the_earlier_job(situation: Situation) -> Decision | None:
    """One resource never has two Jobs, and the earlier pod gives its GPU back first."""
    observed = situation.observed
    if not observed.earlier_jobs:
        return None
    names = ", ".join(job.name for job in observed.earlier_jobs)
    same = (situation.subject.before or TextToVideoJobStatus()).request_hash
    if same == situation.subject.request_hash:
        reason, why = Waiting.RETRYING, "retryToken asks for another try"
    else:
        reason, why = Waiting.REQUEST_CHANGED, "the request changed"
    text = f"{why}; the earlier Job {names} is being removed"
    status = situation.waiting(Phase.PENDING, reason, text)
    lost = replacements(
        observed.earlier_pods, observed.now, situation.config.jobs.node_lost_seconds
    )
    actions = (*removals(observed.earlier_jobs), *lost)
    return Decision(status, actions, again_seconds=_again(situation))


def a_spec_that_does_not_fit_is_refused(situation: Situation) -> Decision | None:
    """The CRD lets little of that through; what it does is told here."""
    if situation.observed.resource.spec is not None:
        return None
    return situation.refused(Reason.INVALID_SPEC, situation.observed.resource.complaint)


def _webhook_is_refused(situation: Situation) -> bool:
    spec = situation.observed.resource.spec
    try:
        if spec and spec.webhook:
            check_literal(spec.webhook, situation.config.allowed_addresses)
    except AddressRefused:
        return True
    return False


def _again(situation: Situation) -> float:
    """Sooner where a pod might be lost with its node: that is a matter of time alone."""
    waits = any(not pod.is_over for pod in situation.observed.earlier_pods)
    return 30.0 if waits else LOOK_AGAIN_SECONDS


def _own_job(situation: Situation) -> ObservedJob | None:
    job = situation.observed.job
    return job if job and job.owner_uid == situation.observed.resource.metadata.uid else None


def _ttl_seconds(situation: Situation) -> int | None:
    spec = situation.observed.resource.spec
    own = spec.ttl_seconds_after_finished if spec else None
    return situation.config.jobs.ttl_seconds_after_finished if own is None else own


def _still(previous: TextToVideoJobStatus, situation: Situation) -> TextToVideoJobStatus | None:
    """The same status for the resource's present generation.

    One that could not be read whole has no conditions; it is left as it stands.
    """
    if not previous.conditions:
        return None
    resource = situation.observed.resource
    if resource.wants_new_links:
        previous = with_places(previous, resource.metadata.namespace, situation.config)
        asked = resource.metadata.annotations[RENEW_LINKS_ANNOTATION]
        previous = previous.model_copy(update={"link_renewal": asked})
    spec = resource.spec
    # With `cancel` it asks for nothing yet: it does so once that is taken back.
    token = spec.retry_token if spec and not spec.cancel else None
    generation = {"observed_generation": resource.metadata.generation}
    conditions = tuple(each.model_copy(update=generation) for each in previous.conditions)
    tokens = with_token(previous.retry_tokens, token)
    changed = {**generation, "conditions": conditions, "retry_tokens": tokens}
    return previous.model_copy(update=changed)

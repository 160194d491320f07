"""Rules about a VideoModel itself: whose name it has, what it asks for, when it goes."""

from t2v_api.base import nearest
from t2v_api.profile import COMMIT
from t2v_api.reasons import ModelReason

from t2v_operator.core.model_volumes import NEEDS_IMAGE_VOLUMES, tag_warnings
from t2v_operator.core.models.situation import ModelDecision, ModelSituation

NAMED_USERS = 5
"""So many Jobs are named; the others are counted."""


def a_model_being_deleted_goes_after_its_last_job(
    situation: ModelSituation,
) -> ModelDecision | None:
    """What fetches it goes with it, by the garbage collector."""
    if not situation.model.is_being_deleted:
        return None
    if not situation.users:
        return ModelDecision(status=None)
    named = ", ".join(sorted(situation.users)[:NAMED_USERS])
    more = len(situation.users) - NAMED_USERS
    text = f"is being deleted; it goes when these Jobs have ended: {named}"
    message = f"{text} and {more} more" if more > 0 else text
    return ModelDecision(situation.status(ModelReason.IN_USE, message))


def a_name_of_the_configuration_is_taken(situation: ModelSituation) -> ModelDecision | None:
    """Videos of this name are the configuration's model."""
    if situation.model.name not in situation.config.catalogue:
        return None
    message = (
        f"the operator's configuration has a model {situation.model.name}, which goes before this; "
        "rename one of them, or remove it from the configuration"
    )
    return situation.stalled(ModelReason.NAME_TAKEN, message)


def a_spec_that_does_not_fit_is_told(situation: ModelSituation) -> ModelDecision | None:
    """The CRD lets little of that through."""
    if situation.model.spec is not None:
        return None
    return situation.stalled(ModelReason.INVALID_SPEC, situation.model.complaint)


def an_image_needs_a_kubernetes_that_mounts_it(
    situation: ModelSituation,
) -> ModelDecision | None:
    """Elsewhere the API server drops the volume's source, and refuses the rest in riddles."""
    if not situation.spec.images or situation.config.image_volumes is not False:
        return None
    message = f"source.image: this cluster's pods cannot mount images; {NEEDS_IMAGE_VOLUMES}"
    return situation.stalled(ModelReason.IMAGES_NOT_SUPPORTED, message)


def a_model_that_is_not_prefetched_is_ready(situation: ModelSituation) -> ModelDecision | None:
    """At once: a folder is in the runner's image, an image is pulled by the node, and from a hub
    each Job fetches it."""
    spec = situation.spec
    if spec.prefetch is not None:
        return None
    source, adapter = spec.source, spec.motion_adapter
    adapter_revision = adapter.revision if adapter else None
    ready = "each Job fetches it" if source.hub else f"the folder {source.path}"
    if source.image:
        ready = f"each Job mounts the image {source.image}"
    message = "; ".join((f"ready: {ready}", *tag_warnings(spec)))
    status = situation.status(
        ModelReason.AVAILABLE,
        message,
        sources=None,
        cache=None,
        commit=_commit(source.revision),
        motion_adapter_commit=_commit(adapter_revision),
        sha256=None,
        converted_to=None,
        fetched_time=None,
        fetched_bytes=None,
        fetch_seconds=None,
        missing_time=None,
        nodes=(),
        image_digest=source.image_digest,
    )
    return ModelDecision(status)


def a_prefetch_needs_a_cache(situation: ModelSituation) -> ModelDecision | None:
    if situation.config.model_cache.named:
        return None
    message = (
        "prefetch: the operator's configuration has no modelCache to fetch it into; add one, or "
        "remove 'prefetch', and each Job fetches it"
    )
    return situation.stalled(ModelReason.NO_MODEL_CACHE, message)


def a_prefetch_needs_pools_that_are_known(situation: ModelSituation) -> ModelDecision | None:
    assert situation.spec.prefetch
    known = [pool.name for pool in situation.config.pools]
    unknown = [name for name in situation.spec.prefetch.pools if name not in known]
    if not unknown:
        return None
    message = f"prefetch.pools: {unknown[0]!r} is not configured{nearest(unknown[0], known)}"
    return situation.stalled(ModelReason.INVALID_SPEC, message)


def _commit(revision: str | None) -> str | None:
    """`revision` where it names the same weights for ever."""
    return revision if revision and COMMIT.fullmatch(revision) else None

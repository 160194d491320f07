"""Make the record of a VideoModel from the API's object. Pure: plain JSON in, a record out."""

from typing import Any

from t2v_api.base import ContractError
from t2v_api.resource import ObjectMeta
from t2v_api.video_model import VideoModelSpec, VideoModelStatus

from t2v_operator.core.job import Manifest
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.names import IN_USE_FINALIZER
from t2v_operator.crd import NOT_OBSERVED

READ = ("name", "uid", "generation", "resourceVersion", "creationTimestamp")


def observe_model(document: Manifest) -> ObservedModel:
    """Parse a VideoModel. A spec that does not fit is kept as a complaint, not raised."""
    metadata = document["metadata"]
    spec, complaint = None, ""
    try:
        spec = VideoModelSpec.parse(document.get("spec"), at="spec")
    except ContractError as error:
        complaint = str(error)
    return ObservedModel(
        metadata=ObjectMeta.parse({name: metadata[name] for name in READ if name in metadata}),
        spec=spec,
        complaint=complaint,
        status=_status(document.get("status")),
        is_being_deleted="deletionTimestamp" in metadata,
        has_finalizer=IN_USE_FINALIZER in (metadata.get("finalizers") or ()),
    )


def _status(document: Any) -> VideoModelStatus | None:
    """None where nobody has looked yet, or another version did: it is made anew."""
    if not document or document.get("observedGeneration") in (None, NOT_OBSERVED):
        return None
    try:
        return VideoModelStatus.parse(document)
    except ContractError:
        return None

"""The record that an ended request leaves on its resource, for when its status is lost. Pure.

A status can be wiped by hand, or missing after a restore from a backup; the Job is gone after its
TTL. The record, an annotation, is then what says that the GPU's work is done.
"""

from pydantic import AwareDatetime
from t2v_api.base import ContractError, ContractModel
from t2v_api.reasons import SUCCEEDED, Reason
from t2v_api.resource import Phase, ResolvedRequest, TextToVideoJobStatus
from t2v_api.result import Video

from t2v_operator.config import OperatorConfig
from t2v_operator.core.job import output_key, output_url
from t2v_operator.core.observed import FINAL, ObservedResource
from t2v_operator.core.status import Subject, status_of


class Record(ContractModel):
    """What came of one request. Its files' place is not in it: that follows from the rest."""

    request_hash: str
    name: str
    """The resource's: a copy under another name is another resource."""
    phase: Phase
    reason: Reason | None = None
    """Of a failure."""
    message: str = ""
    pool: str | None = None
    resolved: ResolvedRequest | None = None
    output: tuple[str, ...] = ()
    """File names."""
    generation_time: float | None = None
    video: Video | None = None
    start_time: AwareDatetime | None = None
    completion_time: AwareDatetime | None = None


def record_to_leave(resource: ObservedResource, status: TextToVideoJobStatus) -> Record | None:
    """The record of `status`; None where it is not final, or stands on the resource already."""
    if status.phase not in FINAL or not status.request_hash or not status.conditions:
        return None
    found = read_record(resource)
    if found is not None and found.request_hash == status.request_hash:
        return None
    reason = status.conditions[0].reason
    return Record(
        request_hash=status.request_hash,
        name=resource.metadata.name,
        phase=status.phase,
        reason=Reason(reason) if reason in set(Reason) else None,
        message=status.message,
        pool=status.pool,
        resolved=status.resolved,
        output=tuple(url.rsplit("/", 1)[-1] for url in status.output),
        generation_time=status.generation_time,
        video=status.video,
        start_time=status.start_time,
        completion_time=status.completion_time,
    )


def read_record(resource: ObservedResource) -> Record | None:
    """The record on the resource, if it is one of this resource's."""
    if resource.record is None:
        return None
    try:
        record = Record.parse_json(resource.record)
    except ContractError:
        return None
    return record if record.name == resource.metadata.name else None


def restored_status(
    subject: Subject, record: Record, config: OperatorConfig
) -> TextToVideoJobStatus:
    """The status of an ended request, as far as its record tells it."""
    urls: tuple[str, ...] = ()
    if record.phase is Phase.SUCCEEDED and record.resolved:
        request = record.resolved.request
        key = output_key(
            subject.metadata.namespace, request, record.resolved.model_revision, config
        )
        urls = tuple(f"{output_url(key, config)}/{name}" for name in record.output)
    return status_of(
        subject,
        record.phase,
        record.reason or SUCCEEDED,
        record.message,
        pool=record.pool,
        resolved=record.resolved,
        output_url=urls[0] if urls else None,
        output=urls,
        generation_time=record.generation_time,
        video=record.video,
        start_time=record.start_time,
        completion_time=record.completion_time,
    )

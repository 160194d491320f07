"""The record that an ended request leaves on its resource, for when its status is lost. Pure.

A status can be wiped by hand, or missing after a restore from a backup; the Job is gone after its
TTL. The record, an annotation, is then what says that the GPU's work is done.
"""

from typing import Annotated

from pydantic import AwareDatetime, Field
from t2v_api.base import ContractError, ContractModel
from t2v_api.reasons import SUCCEEDED, Reason
from t2v_api.resource import (
    DNS_LABEL,
    KEPT_RETRY_TOKENS,
    Cost,
    Phase,
    ResolvedRequest,
    RetryToken,
    TextToVideoJobSpec,
    TextToVideoJobStatus,
)
from t2v_api.result import Video

from t2v_operator.config import OperatorConfig
from t2v_operator.core.observed import FINAL, ObservedResource
from t2v_operator.core.places import folder_url
from t2v_operator.core.status import Subject, reason_of, status_of

MESSAGE_CHARACTERS = 2048
FileName = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Record(ContractModel):
    """What came of one request. Users may write it: it leads to their namespace's files alone."""

    request_hash: str = Field(max_length=64)
    namespace: str
    name: str
    """The resource's: a copy elsewhere is another resource."""
    phase: Phase
    reason: Reason | None = None
    """Of a failure."""
    message: str = Field(default="", max_length=MESSAGE_CHARACTERS)
    pool: Annotated[str, Field(max_length=63, pattern=DNS_LABEL)] | None = None
    resolved: ResolvedRequest | None = None
    folder: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The last part of the place of its files."""
    output: tuple[FileName, ...] = ()
    retry_tokens: Annotated[tuple[RetryToken, ...], Field(max_length=KEPT_RETRY_TOKENS)] | None = (
        None
    )
    """Those that were seen by then."""
    generation_time: float | None = Field(default=None, ge=0)
    video: Video | None = None
    gpu_seconds: float | None = Field(default=None, ge=0)
    cost: Cost | None = None
    key_id: Annotated[str, Field(max_length=63)] | None = None
    start_time: AwareDatetime | None = None
    completion_time: AwareDatetime | None = None


def record_to_leave(resource: ObservedResource, status: TextToVideoJobStatus) -> Record | None:
    """The record of `status`; None where it is not final, or stands on the resource already."""
    if status.phase not in FINAL or not status.request_hash or not status.conditions:
        return None
    if reason_of(status) == Reason.WEBHOOK_REFUSED:
        return None  # another URL mends it
    found = read_record(resource)
    if found is not None and _is_of(found, status):
        return None
    reason = reason_of(status)
    # A link has a query that opens it; the place is its path.
    places = [url.partition("?")[0].rsplit("/", 2) for url in status.output]
    folder = places[0][1] if places else None
    return Record(
        request_hash=status.request_hash,
        namespace=resource.metadata.namespace,
        name=resource.metadata.name,
        phase=status.phase,
        reason=Reason(reason) if reason in set(Reason) else None,
        message=status.message[:MESSAGE_CHARACTERS],
        pool=status.pool,
        resolved=status.resolved,
        folder=folder,
        output=tuple(name for _, _, name in places),
        retry_tokens=status.retry_tokens,
        generation_time=status.generation_time,
        video=status.video,
        gpu_seconds=status.gpu_seconds,
        cost=status.cost,
        key_id=status.key_id,
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
    own = (resource.metadata.namespace, resource.metadata.name)
    is_ours = (record.namespace, record.name) == own and record.phase in FINAL
    return record if is_ours else None


def is_restored(resource: ObservedResource, status: TextToVideoJobStatus) -> bool:
    """Whether `status`, which is written to the resource, tells an end of which it had a record."""
    record = read_record(resource)
    return record is not None and _is_of(record, status)


def may_be_restored(record: Record, spec: TextToVideoJobSpec | None) -> bool:
    """Whether nobody has asked for another try since then."""
    if record.phase is Phase.SUCCEEDED or spec is None or spec.cancel:
        return True
    return spec.retry_token is None or spec.retry_token in (record.retry_tokens or ())


def _is_of(record: Record, status: TextToVideoJobStatus) -> bool:
    """Whether both are of the same request, in the same try."""
    return (record.request_hash, record.retry_tokens) == (status.request_hash, status.retry_tokens)


def restored_status(
    subject: Subject, record: Record, config: OperatorConfig
) -> TextToVideoJobStatus:
    """The status of an ended request, as far as its record tells it."""
    urls: tuple[str, ...] = ()
    if record.folder:
        place = folder_url(subject.metadata.namespace, record.folder, config)
        urls = tuple(f"{place}/{name}" for name in record.output)
    return status_of(
        subject,
        record.phase,
        record.reason or SUCCEEDED,
        record.message,
        retry_tokens=record.retry_tokens,
        pool=record.pool,
        resolved=record.resolved,
        output_url=urls[0] if urls else None,
        output=urls,
        generation_time=record.generation_time,
        video=record.video,
        gpu_seconds=record.gpu_seconds,
        cost=record.cost,
        key_id=record.key_id,
        start_time=record.start_time,
        completion_time=record.completion_time,
    )

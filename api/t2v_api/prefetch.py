"""What a prefetch leaves behind: one record, as small as a video's."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from t2v_api.base import ContractError, ContractModel
from t2v_api.result import GenerationFailure, Sha256

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class PrefetchResult(ContractModel):
    """A model that is whole in the cache."""

    kind: Literal["PrefetchResult"] = "PrefetchResult"
    commit: Commit | None = None
    """Of its source: what a branch or tag was when it came. Null where the source is a folder."""
    motion_adapter_commit: Commit | None = None
    """Of its motion adapter, where that is a hub's."""
    bytes: int = Field(ge=0)
    """Of all their files in the cache."""
    fetched_bytes: int | None = Field(default=None, ge=0)
    """Of those that came while it ran: 0 where all was there. Null: an earlier runner, which does
    not say."""
    sha256: Sha256
    """Of the lines "DIGEST  PATH" of all their files, as sha256sum writes them, by path; those of
    the motion adapter come last."""
    converted_to: Annotated[str, Field(pattern=r"^(bf16|fp16)$")] | None = None
    """The number format of weights that were in float32. Null: all is as the hub has it."""


_RECORD: TypeAdapter[PrefetchResult | GenerationFailure] = TypeAdapter(
    Annotated[PrefetchResult | GenerationFailure, Field(discriminator="kind")]
)


def read_prefetch(text: str) -> PrefetchResult | GenerationFailure:
    """Parse a prefetch's termination message. Raises ContractError."""
    try:
        return _RECORD.validate_json(text)
    except ValidationError as error:
        raise ContractError(f"not a prefetch's record: {error.error_count()} faults") from None

"""What a prefetch leaves behind: one record, in the container's termination message."""

from typing import Annotated, Literal

from pydantic import Field

from t2v_api.base import ContractModel
from t2v_api.result import Sha256

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class PrefetchResult(ContractModel):
    """A model whose files are in the cache."""

    kind: Literal["PrefetchResult"] = "PrefetchResult"
    commit: Commit
    """That the revision named when it was fetched."""
    motion_adapter_commit: Commit | None = None
    """The same of the motion adapter, where the model has one from a hub."""
    bytes: int = Field(ge=0)
    """Of all its files."""
    sha256: Sha256
    """Over the sorted paths and digests of its files."""
    converted_to: Annotated[str, Field(max_length=16)] | None = None
    """The number format that its weights were converted to. Null: they are as the hub has them."""

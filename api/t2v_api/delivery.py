"""What a runner and the report server say to each other: reports, and grants to upload files.

The runner shows its pod's token; whose video it makes, the server finds out from that. It never
holds a credential of a store, only URLs that open exactly its own files for a short time.
"""

from typing import Annotated

from pydantic import AwareDatetime, Field

from t2v_api.base import ContractModel
from t2v_api.result import Sha256

PROGRESS_PATH = "/v1/progress"
"""POST a Progress."""
RESULT_PATH = "/v1/result"
"""POST a GenerationResult or a GenerationFailure, once everything else is done."""
UPLOADS_PATH = "/v1/uploads"
"""POST an UploadRequest, get UploadGrants."""

BODY_BYTES = 64 * 1024
"""The report server takes no larger body."""
MOST_FILES = 8

TOKEN_FOLDER = "/var/run/secrets/textto.video"  # noqa: S105
TOKEN_FILE = "token"  # noqa: S105
"""In that folder; the kubelet renews it, so it is read for each request."""

RECORD_FILE = "result.json"
"""The record beside the video; the last file to appear."""

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".json": "application/json",
}
"""Of every file that is ever stored, by the end of its name."""

FileName = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\.[a-z0-9]+$")]


class FileToUpload(ContractModel):
    """One finished file of the runner's."""

    name: FileName
    bytes: int = Field(ge=1)
    """Its size."""
    sha256: Sha256
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """What S3 checks an upload by."""


class UploadRequest(ContractModel):
    """The files that a runner has ready."""

    files: tuple[FileToUpload, ...] = Field(min_length=1, max_length=MOST_FILES)


class Grant(ContractModel):
    """The right to PUT one file, once or several times, until it ends."""

    name: FileName
    url: str = Field(max_length=8192)
    headers: dict[str, str] = {}
    """To be sent with the PUT as they are."""


class UploadGrants(ContractModel):
    """A grant for each of the files that the store does not hold yet."""

    grants: tuple[Grant, ...]
    expires: AwareDatetime
    """After that the runner asks again."""

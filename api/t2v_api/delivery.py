"""What a runner and the report server say to each other: reports, and grants to upload files.

The runner shows its pod's token; whose video it makes, the server finds out from that. It never
holds a credential of a store, only URLs that open exactly its own files for a short time.
"""

from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from t2v_api.base import ContractModel
from t2v_api.result import (
    MOST_FILES,
    POSTER_FILE,
    PREVIEW_FILE,
    VIDEO_FILE,
    FileName,
    Sha256,
)

PROGRESS_PATH = "/v1/progress"
"""POST a Progress."""
RESULT_PATH = "/v1/result"
"""POST a GenerationResult or a GenerationFailure, once everything else is done."""
UPLOADS_PATH = "/v1/uploads"
"""POST an UploadRequest, get UploadGrants."""
INIT_MEDIA_PATH = "/v1/init-media"
"""GET an InitMediaLink for a file of the store that the request names."""
INIT_MEDIA_NAME = "name"
"""The parameter of that: a `store://` name, as it stands in the request."""
CHECKPOINT_PATH = "/v1/checkpoint"
"""GET a CheckpointLink: to what an earlier run of the same request has left."""

BODY_BYTES = 64 * 1024
"""The report server takes no larger body."""

TOKEN_FOLDER = "/var/run/secrets/textto.video"  # noqa: S105
TOKEN_FILE = "token"  # noqa: S105
"""In that folder; the kubelet renews it, so it is read for each request."""

RECORD_FILE = "result.json"
"""The record beside the video; the last file to appear."""

CHECKPOINT_FILE = "checkpoint.safetensors"
"""How far an unfinished video has come; gone once it is there."""

LARGEST = {
    VIDEO_FILE: 4 * 2**30,
    POSTER_FILE: 32 * 2**20,
    PREVIEW_FILE: 32 * 2**20,
    RECORD_FILE: BODY_BYTES,
    CHECKPOINT_FILE: 2 * 2**30,
}
"""Bytes of each file of a video; no other is taken."""

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".json": "application/json",
}
"""Of every file that is ever stored, by the end of its name."""


def content_type(name: str) -> str:
    """What a store serves a file of this name as."""
    return CONTENT_TYPES.get(name[name.rfind(".") :], "application/octet-stream")


class FileToUpload(ContractModel):
    """One finished file of the runner's."""

    name: FileName
    bytes: int = Field(ge=1)
    """Its size, at most what `LARGEST` says for the name."""
    sha256: Sha256
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """What S3 checks an upload by."""

    @model_validator(mode="after")
    def _is_one_of_a_video(self) -> Self:
        largest = LARGEST.get(self.name)
        if largest is None:
            raise ValueError(f"{self.name} is no file of a video; known are {', '.join(LARGEST)}")
        if self.bytes > largest:
            raise ValueError(f"{self.name} has {self.bytes} bytes; at most {largest} are taken")
        return self


class UploadRequest(ContractModel):
    """The files that a runner has ready."""

    files: tuple[FileToUpload, ...] = Field(min_length=1, max_length=MOST_FILES)
    are_uploaded: bool = False
    """True: only those that the store lacks all the same are asked for."""


class Grant(ContractModel):
    """The right to PUT one file, once or several times, until it ends."""

    name: FileName
    url: str = Field(max_length=8192)
    headers: dict[str, str] = {}
    """To be sent with the PUT as they are."""


class UploadGrants(ContractModel):
    """A grant for each of the files; once they are uploaded, for those that the store lacks."""

    grants: tuple[Grant, ...]
    expires: AwareDatetime
    """After that the runner asks again."""


class InitMediaLink(ContractModel):
    """What opens the init media that the request names in the store, for some minutes."""

    namespace: str
    """Whose files were looked at."""
    url: str | None = Field(default=None, max_length=8192)
    """A right of its own: it stands in no message. None: there is no such file."""


class CheckpointLink(ContractModel):
    """What opens the checkpoint of the very video that the pod makes, for some minutes."""

    url: str | None = Field(default=None, max_length=8192)
    """A right of its own: it stands in no message. None: there is no checkpoint."""

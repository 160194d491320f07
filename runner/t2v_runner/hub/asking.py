"""Ask a hub: what a repository has, and the bytes of a file. Knows no folder.

Of huggingface_hub it takes requests, their retries and redirects, and where HF_ENDPOINT, HF_TOKEN
and HF_HUB_OFFLINE are read. Its `hf_hub_download` begins a file anew in each process and compares
no digest (docs/design/model-store.md).
"""

import io
import json
import logging
import re
import time
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from t2v_api.profile import COMMIT

from t2v_runner.errors import ModelNotLoadable, StorageFailed
from t2v_runner.hub.answers import told_plainly
from t2v_runner.hub.listing import Document, HubFile, Listing
from t2v_runner.hub.needs import NEEDED_SUFFIXES

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

ANSWER_SECONDS = 30.0
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before a file is asked for again, where nothing of it came."""
PIECE_BYTES = 2**18
"""As soon as so much has come it is written, counted, and gone on with after a break. The library's
own pieces have 10 MiB: minutes on a slow line, and all of many a file."""
SHA256 = re.compile("[0-9a-f]{64}")
MAX_DOCUMENT_BYTES = 32 * 2**20
"""Of a JSON file that says which others are needed: those of the largest models have some MB."""

logger = logging.getLogger(__name__)


class MoreThanTold(StorageFailed):
    """A file has more bytes than the hub's listing says."""


def list_repository(repository: str, revision: str) -> Listing:
    """Its files at the commit that `revision`, a branch, tag or commit, is now.

    One request, and one more for each file whose size a mirror's list leaves out.
    Raises ModelNotLoadable, StorageFailed.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    what = f"hub model {repository} at {revision}"
    with told_plainly(what, repository):
        try:
            info = HfApi().model_info(
                repository, revision=revision, files_metadata=True, timeout=ANSWER_SECONDS
            )
        except HFValidationError as error:
            raise ModelNotLoadable(f"{what}: no hub can have it: {error}") from None
        except UnicodeEncodeError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageFailed(
                f"{what}: what answered is no hub, or it is not well: its list of files is not "
                f"readable ({type(error).__name__}); see HF_ENDPOINT and proxies"
            ) from None
    if not isinstance(info.sha, str) or not COMMIT.fullmatch(info.sha):
        raise ModelNotLoadable(f"{what}: the hub names {info.sha!r} as its commit")
    if COMMIT.fullmatch(revision) and info.sha != revision:
        raise ModelNotLoadable(
            f"{what}: the hub answers for commit {info.sha}, which is another; see HF_ENDPOINT"
        )
    files = {}
    for sibling in info.siblings or ():
        if _may_be_needed(sibling):
            if sibling.size is None:
                _complete(sibling, repository, info.sha, what)
            file = _file(sibling, what)
            files[file.path] = file
    return Listing(repository, info.sha, files)


def _complete(sibling: "RepoSibling", repository: str, commit: str, what: str) -> None:
    """Have the size of a file, and its digest if the hub says one.

    What cannot be needed is not asked for: nobody looks at its size.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.hf_api import BlobLfsInfo

    name = sibling.rfilename
    if not name.endswith(NEEDED_SUFFIXES):
        sibling.size = 0
        return
    with told_plainly(f"{what}: {name}", repository):
        url = hf_hub_url(repository, name, revision=commit)
        found = get_hf_file_metadata(url, timeout=ANSWER_SECONDS, retry_on_errors=True)
    sibling.size, digest = found.size, found.etag or ""
    if SHA256.fullmatch(digest):
        sibling.lfs = BlobLfsInfo(found.size or 0, digest, 0)
    elif COMMIT.fullmatch(digest):
        sibling.blob_id = digest


def _may_be_needed(sibling: "RepoSibling") -> bool:
    """Of names that are not plain, a picture's or a README's is nobody's concern."""
    name = sibling.rfilename
    return not isinstance(name, str) or _is_plain(name) or name.endswith(NEEDED_SUFFIXES)


def _file(sibling: "RepoSibling", what: str) -> HubFile:
    name, size, blob_id = sibling.rfilename, sibling.size, sibling.blob_id
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    if not isinstance(name, str) or not _is_plain(name):
        raise ModelNotLoadable(
            f"{what}: a file's name is {name!r}: rename it, or take a revision without it"
        )
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name:
        raise ModelNotLoadable(f"{what}: the file {name!r} leaves its folder")
    if not isinstance(size, int) or size < 0:
        raise ModelNotLoadable(f"{what}: the hub does not say how large {name} is")
    for digest in (sha256, blob_id):
        if not isinstance(digest, str | None):
            raise ModelNotLoadable(f"{what}: the hub says {digest!r} as the digest of {name}")
    return HubFile(name, size, blob_id or "", sha256)


def _is_plain(name: str) -> bool:
    """Whether it has letters, signs and spaces alone. Systems name screenshots with odd spaces."""
    return all(each.isprintable() or unicodedata.category(each) == "Zs" for each in name)


def read_document(listing: Listing, file: HubFile) -> Document:
    """The JSON object in a small file. Raises ModelNotLoadable, StorageFailed."""
    if file.size > MAX_DOCUMENT_BYTES:
        raise ModelNotLoadable(
            f"{listing}: {file.path} has {file.size} bytes, and up to {MAX_DOCUMENT_BYTES} are "
            "read: it is no list of components or weights"
        )
    content = io.BytesIO()
    request_bytes(listing, file, content)
    return parse(content.getvalue(), f"{listing}: {file.path}")


def parse(content: bytes, what: str) -> Document:
    """The JSON object in `content`. Raises ModelNotLoadable."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelNotLoadable(f"{what}: not readable as JSON: {error}") from None
    if not isinstance(document, dict):
        raise ModelNotLoadable(f"{what}: not a JSON object")
    return document


def request_bytes(listing: Listing, file: HubFile, stream: BinaryIO) -> None:
    """Write what comes after the bytes of the file that `stream` has; it stands at their end.

    A connection that breaks is taken up again, and a hub that is not well is asked again. Never
    writes more than the listing says. Raises ModelNotLoadable, StorageFailed, of these
    MoreThanTold, and what `stream` raises.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    what = f"{listing}: {file.path}"
    vain = 0
    with told_plainly(what, listing.repository):
        while True:
            have = stream.tell()
            try:
                _request_once(listing, file, stream, what)
            except (httpx2.ReadError, HfHubHTTPError) as error:
                if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
                    raise
                vain = 1 if stream.tell() > have else vain + 1
                if vain > len(PAUSES):
                    raise
                logger.warning("%s: %s; it is asked for again", what, type(error).__name__)
                time.sleep(PAUSES[vain - 1])
            else:
                return


def _request_once(listing: Listing, file: HubFile, stream: BinaryIO, what: str) -> None:
    """As often as http_get itself tries: not after a reset, nor where the hub answers 5xx."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        silent_tqdm,
    )

    constants.DOWNLOAD_CHUNK_SIZE = min(constants.DOWNLOAD_CHUNK_SIZE, PIECE_BYTES)
    try:
        http_get(
            hf_hub_url(listing.repository, file.path, revision=listing.commit),
            cast(BinaryIO, _Bounded(stream, file.size, what)),
            resume_size=stream.tell(),
            headers=build_hf_headers(),
            expected_size=file.size,
            tqdm_class=silent_tqdm,
        )
    except OSError as error:
        if type(error) is OSError and error.errno is None:
            raise StorageFailed(f"{what}: the hub sent another number of bytes") from None
        raise


class _Bounded:
    """A stream that is not written beyond `size`. It has what http_get asks of one."""

    def __init__(self, stream: BinaryIO, size: int, what: str) -> None:
        self._size, self._stream, self._what = size, stream, what
        self.seek, self.tell, self.truncate = stream.seek, stream.tell, stream.truncate

    def write(self, piece: bytes) -> int:
        if self._stream.tell() + len(piece) > self._size:
            raise MoreThanTold(
                f"{self._what}: the hub sends more than the {self._size} bytes of its own listing; "
                "something on the way may change it"
            )
        return self._stream.write(piece)

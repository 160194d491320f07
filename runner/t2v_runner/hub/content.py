"""The bytes of a hub's files, by requests that go on where one broke off. Knows no folder.

Of huggingface_hub it takes requests, their retries and redirects. Its `hf_hub_download` begins a
file anew in each process and compares no digest (docs/design/model-store.md).
"""

import io
import json
import logging
import time
from typing import BinaryIO, cast

from t2v_runner.errors import ModelNotLoadable, StorageFailed
from t2v_runner.hub.answers import told_plainly
from t2v_runner.hub.listing import Document, HubFile, Listing

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before a file is asked for again, where nothing of it came."""
PIECE_BYTES = 2**18
"""As soon as so much has come it is written, counted, and gone on with after a break. The library's
own pieces have 10 MiB: minutes on a slow line, and all of many a file."""
MAX_DOCUMENT_BYTES = 32 * 2**20
"""Of a JSON file that says which others are needed: those of the largest models have some MB."""

logger = logging.getLogger(__name__)


class MoreThanTold(StorageFailed):
    """A file has more bytes than the hub's listing says."""


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

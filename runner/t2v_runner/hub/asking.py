"""Ask a hub: what a repository has, and the bytes of a file. Knows no folder.

Of huggingface_hub it takes requests, their retries and redirects, and where HF_ENDPOINT, HF_TOKEN
and HF_HUB_OFFLINE are read. Its `hf_hub_download` begins a file anew in each process and compares
no digest (docs/design/model-store.md).
"""

import io
import json
from pathlib import PurePosixPath
from typing import BinaryIO

from t2v_api.profile import COMMIT

from t2v_runner.errors import ModelNotLoadable, StorageFailed
from t2v_runner.hub.answers import told_plainly
from t2v_runner.hub.listing import Document, HubFile, Listing

ANSWER_SECONDS = 30.0


def list_repository(repository: str, revision: str) -> Listing:
    """Its files at the commit that `revision`, a branch, tag or commit, is now. One request.

    Raises ModelNotLoadable, StorageFailed.
    """
    from huggingface_hub import HfApi

    what = f"hub model {repository} at {revision}"
    with told_plainly(what, repository):
        info = HfApi().model_info(
            repository, revision=revision, files_metadata=True, timeout=ANSWER_SECONDS
        )
    if info.sha is None or not COMMIT.fullmatch(info.sha):
        raise ModelNotLoadable(f"{what}: the hub names {info.sha!r} as its commit")
    files = {}
    for each in info.siblings or ():
        path = PurePosixPath(each.rfilename)
        if path.is_absolute() or ".." in path.parts:
            raise ModelNotLoadable(f"{what}: the file {each.rfilename!r} leaves its folder")
        if each.size is None or each.blob_id is None:
            raise ModelNotLoadable(f"{what}: the hub does not say how large {each.rfilename} is")
        sha256 = each.lfs.sha256 if each.lfs else None
        files[each.rfilename] = HubFile(each.rfilename, each.size, each.blob_id, sha256)
    return Listing(repository, info.sha, files)


def read_document(listing: Listing, file: HubFile) -> Document:
    """The JSON object in a small file. Raises ModelNotLoadable, StorageFailed."""
    content = io.BytesIO()
    request_bytes(listing, file, content, 0)
    try:
        document = json.loads(content.getvalue())
    except ValueError as error:
        raise ModelNotLoadable(f"{listing}: {file.path}: not readable as JSON: {error}") from None
    if not isinstance(document, dict):
        raise ModelNotLoadable(f"{listing}: {file.path}: not a JSON object")
    return document


def request_bytes(listing: Listing, file: HubFile, stream: BinaryIO, have: int) -> None:
    """Write what comes after the first `have` bytes of the file, at which `stream` stands.

    A connection that breaks is taken up again. Raises ModelNotLoadable, StorageFailed, and what
    `stream` raises.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        silent_tqdm,
    )

    url = hf_hub_url(listing.repository, file.path, revision=listing.commit)
    what = f"{listing}: {file.path}"
    with told_plainly(what, listing.repository):
        try:
            http_get(
                url,
                stream,
                resume_size=have,
                headers=build_hf_headers(),
                expected_size=file.size,
                tqdm_class=silent_tqdm,
            )
        except OSError as error:
            if type(error) is OSError and error.errno is None:
                raise StorageFailed(f"{what}: the hub sent another number of bytes") from None
            raise

"""Ask a hub what a repository has.

By huggingface_hub, which reads HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
"""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from t2v_api.profile import COMMIT

from t2v_runner.errors import ModelNotLoadable, StorageFailed
from t2v_runner.hub.answers import told_plainly
from t2v_runner.hub.listing import HubFile, Listing
from t2v_runner.hub.needs import NEEDED_SUFFIXES

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

ANSWER_SECONDS = 30.0
SHA256 = re.compile("[0-9a-f]{64}")
"""As an ETag."""


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

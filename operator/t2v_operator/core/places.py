"""Where a video's files stand: a folder for each distinct video, and what opens it. Pure.

A store's files are named by `store://` and their key. Only when a status is written does a name
become a link that a browser opens, which may end and be made again. In a request such a name is
no whole key: it begins below the namespace (`t2v_api.store_name`).
"""

import re

from t2v_api.resource import TextToVideoJobStatus
from t2v_api.store_name import STORE, path_in_store

from t2v_operator.config import OperatorConfig, VolumeStorage
from t2v_operator.core.names import FOLDER, folder_in
from t2v_operator.core.request import ResolvedJob

VIDEO = re.compile(rf"{FOLDER.pattern}(?:/[A-Za-z0-9_-]+\.[a-z0-9]+)?")
"""Of one video: the digest, perhaps a file."""


def folder_of(job: ResolvedJob) -> str:
    """One for each distinct video, by the digest of all that makes it."""
    return job.request.digest(job.profile.revision)


def place(namespace: str, path: str, config: OperatorConfig) -> str:
    """The key in the storage of what stands at `path` among the namespace's files."""
    return _below(namespace, config.storage.prefix) + path


def _below(namespace: str, prefix: str) -> str:
    """What all keys of a namespace begin with."""
    parts = (prefix.strip("/"), namespace, "")
    return "/".join(parts).lstrip("/")


def folder_url(namespace: str, folder: str, config: OperatorConfig) -> str:
    """What serves the folder of a video, or names it."""
    key = place(namespace, folder, config)
    if isinstance(config.storage, VolumeStorage):
        return f"{config.storage.url.rstrip('/')}/{key}"
    return f"{STORE}{key}"


def with_places(
    status: TextToVideoJobStatus, namespace: str, config: OperatorConfig
) -> TextToVideoJobStatus:
    """`status` with the names of its files in the place of what opened them."""
    output = tuple(_place_of(url, namespace, config) for url in status.output)
    return status.model_copy(update={"output": output, "output_url": output[0] if output else None})


def _place_of(url: str, namespace: str, config: OperatorConfig) -> str:
    """The last two parts of a path say which file it is; a link's query opens it."""
    folder = folder_in((url,))
    name = url.partition("?")[0].rpartition("/")[2]
    return f"{folder_url(namespace, folder, config)}/{name}" if folder else url


def key_in_store(url: str, namespace: str, prefix: str) -> str | None:
    """The key of a folder, or of a file in it, that a `store://` name names; None for any other.

    What a Job says can be forged by whoever may make Jobs, so it leads to nothing but this
    namespace's place below the configured `prefix`.
    """
    own = _below(namespace, prefix)
    name = url.removeprefix(f"{STORE}{own}")
    return own + name if name != url and VIDEO.fullmatch(name) else None


def key_of_init_media(url: str, namespace: str, config: OperatorConfig) -> str | None:
    """The key of the file that a request's init media names in the store; None for a web address.

    It is always one of the namespace, which the name cannot leave.
    """
    path = path_in_store(url)
    return place(namespace, path, config) if path else None

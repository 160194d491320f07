"""Bring finished files to the store: ask for grants, PUT each file, try again until all are there.

The video is made by then, so patience is cheap: a store that is away for minutes costs no GPU
work.
"""

import hashlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from t2v_api.delivery import FileToUpload, Grant

from t2v_runner.errors import StorageFailed
from t2v_runner.report_server import NotAnswered, Refused, ReportServer, is_worth_another_try

UPLOAD_SECONDS = 900.0
"""After that without success, the upload has failed."""
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 15.0
REFUSALS = 6
"""So often in a row somebody may say no to a file before it is believed: half a minute."""
FILE_SECONDS = 60.0
"""Without a byte taken or an answer."""
CHUNK_BYTES = 256 * 1024

logger = logging.getLogger(__name__)


def upload(
    folder: Path,
    names: Sequence[str],
    server: ReportServer,
    may_go_on: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Upload the files `names` of `folder`, in this order. Raises StorageFailed.

    `may_go_on` is called all the time and raises where somebody asked to stop.
    """
    files = tuple(described(folder / name, name) for name in names)
    deadline, pause, refusals = monotonic() + UPLOAD_SECONDS, FIRST_PAUSE_SECONDS, 0
    taken = again = 0
    while True:
        try:
            for file in files[taken:]:
                # One at a time: a grant ends, and a file may be large.
                for grant in server.ask_to_upload((file,)).grants:
                    put(folder / grant.name, grant, may_go_on)
                taken += 1
                deadline, pause, refusals = monotonic() + UPLOAD_SECONDS, FIRST_PAUSE_SECONDS, 0
            # The store itself says that all is there.
            missing = server.ask_to_upload(files, are_uploaded=True).grants
            if not missing:
                return
            taken, again = 0, again + 1
            if again >= REFUSALS:
                raise StorageFailed(f"{missing[0].name} is not in the store after its upload")
            raise NotAnswered(f"{missing[0].name} is not in the store after its upload")
        except (NotAnswered, Refused) as error:
            refusals += isinstance(error, Refused)
            logger.warning("the video is not uploaded yet: %s", error)
            wait = pause * random.uniform(0.7, 1.3)  # noqa: S311
            if refusals >= REFUSALS or monotonic() + wait > deadline:
                raise StorageFailed(f"the video could not be uploaded: {error}") from None
        may_go_on()
        sleep(wait)
        pause = min(2 * pause, LAST_PAUSE_SECONDS)


def described(path: Path, name: str) -> FileToUpload:
    """The file as the store is to know it."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    for chunk in _chunks(path):
        sha256.update(chunk)
        md5.update(chunk)
        size += len(chunk)
    return FileToUpload(name=name, bytes=size, sha256=sha256.hexdigest(), md5=md5.hexdigest())


def put(path: Path, grant: Grant, may_go_on: Callable[[], None]) -> None:
    """Upload one file. Raises NotAnswered, Refused; and what `may_go_on` raises at each chunk."""
    import httpx2

    headers = {**grant.headers, "Content-Length": str(path.stat().st_size)}
    try:
        answer = httpx2.put(
            grant.url,
            content=_chunks(path, may_go_on),
            headers=headers,
            timeout=FILE_SECONDS,
            trust_env=False,
        )
    except (httpx2.HTTPError, OSError) as error:
        # The URL is a right of its own: it stands in no message.
        raise NotAnswered(f"the store: {type(error).__name__}") from None
    if is_worth_another_try(answer.status_code):
        raise NotAnswered(f"the store answered {answer.status_code}: {_words(answer.text)}")
    if answer.status_code >= 300:
        raise Refused(answer.status_code, _words(answer.text), "store")


def _words(text: str) -> str:
    return " ".join(text.split())[:200]


def _chunks(path: Path, may_go_on: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            may_go_on()
            yield chunk

"""Fetch a video's file by its link: whole or not at all. Carries no credential of the cluster."""

import asyncio
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout, InvalidURL

from t2v_client.errors import DownloadFailed, Unreachable

CHUNK_BYTES = 1024 * 1024
SILENCE_SECONDS = 60.0
EXPIRED = (401, 403, 410)
"""What stores answer to a link whose time is over."""


class LinkRefused(DownloadFailed):
    """The store does not take the link any more; another one may do."""


async def fetch(url: str, file: Path, sha256: str | None = None) -> Path:
    """Write what stands at `url` to `file`, which appears when it is whole; gives it back.

    `sha256`: in hex, what it must have. Raises DownloadFailed, LinkRefused, Unreachable.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadFailed(f"{_shown(url)} cannot be fetched: it is no address of the web")
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.part")
    try:
        digest = await _stream(url, unfinished)
        if sha256 and digest != sha256:
            raise DownloadFailed(f"{_shown(url)}: what came is not the video that was made")
        unfinished.replace(file)
    except (ClientError, TimeoutError) as error:
        raise Unreachable(f"{_shown(url)} does not answer: {_why(url, error)}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return file


async def _stream(url: str, file: Path) -> str:
    timeout = ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
    digest = hashlib.sha256()
    async with ClientSession(timeout=timeout) as session, session.get(url) as answer:
        if answer.status >= 400:
            refused = LinkRefused if answer.status in EXPIRED else DownloadFailed
            raise refused(f"{_shown(url)}: {answer.status} {answer.reason}")
        with file.open("wb") as stream:
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                digest.update(chunk)
                await asyncio.to_thread(stream.write, chunk)
    return digest.hexdigest()


def _shown(url: str) -> str:
    """The link without its signature, which opens the video to everybody."""
    return url.partition("?")[0]


def _why(url: str, error: Exception) -> str:
    # Errors about an address show it whole, with its signature.
    shows_it = isinstance(error, ClientResponseError | InvalidURL)
    told = "" if shows_it else str(error)
    told = told or type(error).__name__
    if urlsplit(url).hostname == "localhost":
        told += (
            "; until the store has an address of its own, run `kubectl -n t2v-system port-forward "
            "service/text-to-video-operator-store 8080` beside this"
        )
    return told

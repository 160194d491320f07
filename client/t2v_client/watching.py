"""What happens to videos: a list, then a watch that is taken up again where it broke."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from t2v_client.api import Api
from t2v_client.errors import ServerError, Unreachable, server_error
from t2v_client.video import Video

SILENCE_SECONDS = 90.0
"""The API server sends a bookmark each minute; a watch that says nothing for longer is dead."""
PAUSES_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Before each further try while the API server does not answer; after the last it is given up."""
GONE = 410
"""The API server does not know any more what came after the position."""
TOO_BUSY = 429
PAGE = 500


class Happening(StrEnum):
    """What a change is."""

    ADDED = "ADDED"
    """It is there: it was when the watch began, or is new."""
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True)
class Change:
    """One change of one video, and the video after it."""

    happening: Happening
    video: Video


async def list_all(api: Api, path: str, selectors: Mapping[str, str]) -> tuple[list[Video], str]:
    """The videos of a collection, page by page, and the position after them."""
    found: list[Video] = []
    params = {"limit": str(PAGE), **selectors}
    while True:
        page = await api.ask("GET", path, params)
        found += map(Video, page["items"])
        if not (following := page["metadata"].get("continue")):
            return found, page["metadata"]["resourceVersion"]
        params["continue"] = following


async def watch(api: Api, path: str, selectors: Mapping[str, str]) -> AsyncGenerator[Change, None]:
    """All changes for ever, first what is there. An outage of some seconds is lived through.

    Raises ServerError, Unreachable.
    """
    known: dict[str, Video] = {}
    position = ""
    failures = 0
    while True:
        try:
            if not position:
                found, position = await list_all(api, path, selectors)
                for change in _differences(known, found):
                    yield change
                known = {each.uid: each for each in found}
            async for event in _events(api, path, selectors, position):
                failures = 0
                position = event["object"]["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                change = Change(Happening(event["type"]), Video(event["object"]))
                if change.happening is Happening.DELETED:
                    known.pop(change.video.uid, None)
                else:
                    known[change.video.uid] = change.video
                yield change
        except ServerError as error:
            if error.status not in (GONE, TOO_BUSY) and error.status < 500:
                raise
            if error.status == GONE:
                position = ""
                continue
            failures = await _pause(failures, error)
        except Unreachable as error:
            failures = await _pause(failures, error)


async def _pause(failures: int, error: Exception) -> int:
    if failures == len(PAUSES_SECONDS):
        raise error
    await asyncio.sleep(PAUSES_SECONDS[failures])
    return failures + 1


async def _events(
    api: Api, path: str, selectors: Mapping[str, str], position: str
) -> AsyncGenerator[Any, None]:
    params = {
        **selectors,
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": position,
        "timeoutSeconds": "300",
    }
    async for line in api.lines(path, params, SILENCE_SECONDS):
        event = orjson.loads(line)
        if event["type"] == "ERROR":
            status = event["object"]
            raise server_error(status.get("code", 500), status.get("reason", ""), status)
        yield event


def _differences(known: Mapping[str, Video], found: list[Video]) -> list[Change]:
    there = {each.uid for each in found}
    gone = [Change(Happening.DELETED, each) for uid, each in known.items() if uid not in there]
    now = [
        Change(Happening.MODIFIED if each.uid in known else Happening.ADDED, each)
        for each in found
        if each.uid not in known or known[each.uid].document != each.document
    ]
    return gone + now

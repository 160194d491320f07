"""`t2v watch`."""

import argparse
import asyncio
import json
import sys
from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING

from t2v_api.reasons import ExitCode

from t2v_operator.cli.cluster import on_the_cluster, takes_cluster, takes_names
from t2v_operator.cli.output import Format, complain, formatted, say, takes_format
from t2v_operator.cli.shown import progress, stage
from t2v_operator.cli.table import printable

if TYPE_CHECKING:
    from t2v_client import AsyncClient, Change, Video

REDRAW_SECONDS = 0.25


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser, everywhere=True)
    takes_names(parser)
    takes_format(parser)


def perform(options: argparse.Namespace) -> int:
    """Watch videos, or all of a namespace, until all are finished; 1 where one has failed."""

    async def act(client: "AsyncClient") -> int:
        seen = Seen(tuple(options.names))
        for name in options.names:
            await client.get(name)
        is_live = options.output == Format.TABLE and sys.stdout.isatty() and find_spec("rich")
        watching = _draw if is_live else _tell
        await watching(client, options, seen)
        for video in seen.videos:
            if not video.has_succeeded:
                complain(printable(f"{video.name} has failed: {video.reason}: {video.message}"))
        for name in seen.gone:
            complain(f"{name} was deleted")
        has_failed = seen.gone or not all(each.has_succeeded for each in seen.videos)
        return ExitCode.FAULT if has_failed else ExitCode.DONE

    return on_the_cluster(act, options)


class Seen:
    """What is known of the videos that are watched."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._videos: dict[tuple[str, str], Video] = {}
        self.gone: list[str] = []
        """Deleted before they were finished."""

    @property
    def videos(self) -> "list[Video]":
        return list(self._videos.values())

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to wait for."""
        there = {name for _, name in self._videos}
        are_missing = any(name not in there and name not in self.gone for name in self._names)
        return not are_missing and all(each.is_finished for each in self.videos)

    def take(self, change: "Change") -> None:
        key = (change.video.namespace, change.video.name)
        if change.happening != "DELETED":
            self._videos[key] = change.video
            return
        known = self._videos.pop(key, None)
        if known and not known.is_finished:
            self.gone.append(change.video.name)


async def _changes(client: "AsyncClient", options: argparse.Namespace, seen: Seen) -> None:
    """Keep `seen` up to date until all is over."""
    found = await client.list(labels=options.selector)
    if not options.names and not found:
        return
    watched = client.watch(*options.names, labels=options.selector)
    left = {each.uid for each in found if not options.names or each.name in options.names}
    async with aclosing(watched) as changes:
        async for change in changes:
            seen.take(change)
            left.discard(change.video.uid)
            if not left and seen.is_over:
                return


async def _tell(client: "AsyncClient", options: argparse.Namespace, seen: Seen) -> None:
    """A line for each change: JSON for programs, words where there is no terminal."""
    told: dict[str, str] = {}

    class Telling(Seen):
        def take(self, change: "Change") -> None:
            seen.take(change)
            super().take(change)
            line = _line(change, options.output)
            if told.get(change.video.uid) != line:
                told[change.video.uid] = line
                say(line)

    await _changes(client, options, Telling(tuple(options.names)))


def _line(change: "Change", output: str) -> str:
    if output == Format.TABLE:
        video = change.video
        is_gone = change.happening == "DELETED"
        phase = "deleted" if is_gone else video.phase
        parts = (video.name, phase, "" if is_gone else progress(video), stage(video))
        return "  ".join(part for part in parts if part)
    if output == Format.JSON:
        return json.dumps(change.video.document, ensure_ascii=False)
    return "---\n" + formatted(change.video.document, output)


async def _draw(client: "AsyncClient", options: argparse.Namespace, seen: Seen) -> None:
    """All of them on the terminal, again and again; in the end the table stays."""
    from t2v_operator.cli.screen import Screen

    with Screen(everywhere=not client.namespace) as screen:
        watching = asyncio.create_task(_changes(client, options, seen))
        try:
            while not watching.done():
                screen.draw(seen.videos)
                await asyncio.wait([watching], timeout=REDRAW_SECONDS)
            watching.result()
        finally:
            watching.cancel()
    say("\n".join(screen.lines(seen.videos, height=None)))

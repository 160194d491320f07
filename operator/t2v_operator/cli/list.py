"""`t2v list`."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from t2v_operator.cli.cluster import on_the_cluster, takes_cluster, takes_selector
from t2v_operator.cli.output import Format, complain, say, say_documents, takes_format
from t2v_operator.cli.shown import age, progress, seconds
from t2v_operator.cli.table import table, terminal_width

if TYPE_CHECKING:
    from t2v_client import AsyncClient, Video


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser, everywhere=True)
    takes_format(parser, Format.WIDE, Format.NAME)
    takes_selector(parser)
    parser.add_argument("--phase", help="those that are Running, Failed …")


def perform(options: argparse.Namespace) -> int:
    """List the videos of a namespace, the oldest first."""

    async def act(client: "AsyncClient") -> None:
        found = await client.list(labels=options.selector)
        wanted = (options.phase or "").lower()
        videos = [each for each in found if wanted in ("", each.phase.lower())]
        if options.output in (Format.JSON, Format.YAML):
            say_documents([each.document for each in videos], options.output)
        elif options.output == Format.NAME:
            say("\n".join(each.name for each in videos))
        elif not videos:
            where = f"namespace {client.namespace}" if client.namespace else "any namespace"
            complain(f"No videos found in {where}.")
        else:
            is_wide = options.output == Format.WIDE
            say("\n".join(_table(videos, is_wide, everywhere=not client.namespace)))

    return on_the_cluster(act, options)


def _table(videos: "list[Video]", is_wide: bool, everywhere: bool) -> list[str]:
    now = datetime.now(UTC)
    header = ["NAME", "PHASE", "PROGRESS", "MODEL", "AGE"]
    rows = [
        [each.name, each.phase, progress(each), each.model, age(each.created, now)]
        for each in videos
    ]
    if is_wide:
        header += ["SEED", "TIME", "URL"]
        for row, each in zip(rows, videos, strict=True):
            seed = "" if each.seed is None else str(each.seed)
            row += [seed, seconds(each.generation_seconds), each.url or ""]
    header.append("PROMPT")
    for row, each in zip(rows, videos, strict=True):
        row.append(each.prompt)
    elastic = [0, 3]
    if everywhere:
        header.insert(0, "NAMESPACE")
        for row, each in zip(rows, videos, strict=True):
            row.insert(0, each.namespace)
        elastic = [1, 4, 0]
    return table(header, rows, None if is_wide else terminal_width(), elastic)

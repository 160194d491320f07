"""`t2v logs`."""

import argparse
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

from t2v_operator.cli.cluster import names_of_videos, on_the_cluster, takes_cluster
from t2v_operator.cli.output import say
from t2v_operator.cli.table import printable

if TYPE_CHECKING:
    from t2v_client import AsyncClient


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser)
    name = parser.add_argument("name", metavar="NAME", help="of a TextToVideoJob")
    name.completer = names_of_videos  # type: ignore[attr-defined]
    parser.add_argument("-f", "--follow", action="store_true", help="until the runner ends")


def perform(options: argparse.Namespace) -> int:
    """Print the log of a video's latest runner: its progress as JSON lines, and what it says."""

    async def act(client: "AsyncClient") -> None:
        async with aclosing(client.logs(options.name, follow=options.follow)) as lines:
            async for line in lines:
                say(printable(line) if sys.stdout.isatty() else line)

    return on_the_cluster(act, options)

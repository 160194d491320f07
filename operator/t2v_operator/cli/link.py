"""`t2v link`."""

import argparse
from typing import TYPE_CHECKING

from t2v_operator.cli.cluster import names_of_videos, on_the_cluster, takes_cluster
from t2v_operator.cli.output import say

if TYPE_CHECKING:
    from t2v_client import AsyncClient


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser)
    name = parser.add_argument("name", help="of the TextToVideoJob")
    name.completer = names_of_videos  # type: ignore[attr-defined]


def perform(options: argparse.Namespace) -> int:
    """Make a new link to a finished video; print it."""

    async def act(client: "AsyncClient") -> None:
        say(await client.link(options.name))

    return on_the_cluster(act, options)

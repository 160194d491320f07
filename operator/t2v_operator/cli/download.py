"""`t2v download`."""

import argparse
import html
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from t2v_api.reasons import ExitCode

from t2v_operator.cli.cluster import chosen, on_the_cluster, takes_cluster, takes_names
from t2v_operator.cli.manifest import ManifestError
from t2v_operator.cli.output import complain, say

if TYPE_CHECKING:
    from t2v_client import AsyncClient, Video

SHEET = "contact-sheet.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser)
    takes_names(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="PLACE",
        help="a folder, or for one video a file that ends with .mp4 (the working folder)",
    )


def perform(options: argparse.Namespace) -> int:
    """Fetch finished videos as NAME.mp4, several with a contact sheet for a browser."""

    async def act(client: "AsyncClient") -> int:
        from t2v_client import T2vError

        names, fetched, code = await chosen(client, options), [], ExitCode.DONE
        if len(names) > 1 and options.output.suffix == ".mp4":
            raise ManifestError(f"{len(names)} videos do not fit into {options.output}")
        for name in names:
            try:
                video = await client.get(name)
                file = await client.download(video, options.output)
            except T2vError as error:
                complain(str(error))
                code = ExitCode.FAULT
            else:
                say(str(file))
                fetched.append((video, file))
        if len(fetched) > 1:
            sheet = options.output / SHEET
            sheet.write_text(contact_sheet(fetched), encoding="utf-8")
            complain(f"contact sheet: {sheet}")
        return code

    return on_the_cluster(act, options)


def contact_sheet(videos: "list[tuple[Video, Path]]") -> str:
    """A page that shows the videos side by side, each with its name, seed and prompt."""
    figures = "\n".join(
        f'<figure><video src="{quote(file.name)}" controls loop muted preload="metadata"></video>'
        f"<figcaption><b>{html.escape(video.name)}</b> {html.escape(video.model)}, seed "
        f"{video.seed}<br>{html.escape(video.prompt)}</figcaption></figure>"
        for video, file in videos
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{len(videos)} videos</title>
<style>
body {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem;
  font: 0.9rem system-ui; margin: 1rem }}
figure {{ margin: 0; overflow-wrap: anywhere }}
video {{ width: 100%; image-rendering: pixelated }}
</style>
{figures}
</html>
"""

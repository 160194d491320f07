"""`t2v submit`."""

import argparse
from typing import TYPE_CHECKING, Any

import yaml
from t2v_api.resource import KIND
from t2v_client.asking import name_after

from t2v_operator.cli.asking import asked, takes_asked
from t2v_operator.cli.cluster import on_the_cluster, takes_cluster
from t2v_operator.cli.manifest import ManifestError, documents, read_manifests
from t2v_operator.cli.output import (
    Format,
    complain,
    read_text,
    say,
    say_documents,
    takes_format,
    videos_in,
)

if TYPE_CHECKING:
    from t2v_client import AsyncClient


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_asked(parser, ("--number",))
    takes_cluster(parser)
    takes_format(parser, Format.NAME)
    parser.add_argument(
        "--label", action="append", default=[], metavar="A=B", help="given to all of them"
    )
    parser.add_argument(
        "--dry-run", choices=["client", "server"], help="make nothing: print, or only ask"
    )


def perform(options: argparse.Namespace) -> int:
    """Make the TextToVideoJobs of manifests, prompts and tables; wait for none."""
    wanted = [*_of_manifests(options.filename), *asked(options, name_after)]
    if not wanted:
        raise ManifestError("nothing is asked for: give prompts, -f or --csv")
    labels = dict(_label(each) for each in options.label)
    for document in wanted if labels else ():
        document["metadata"]["labels"] = {**document["metadata"].get("labels", {}), **labels}
    if options.dry_run == "client":
        say("---\n".join(yaml.safe_dump(each, sort_keys=False) for each in wanted).rstrip())
        return 0

    async def act(client: "AsyncClient") -> None:
        made = []
        for document in wanted:
            video = await client.submit(
                document, namespace=options.namespace, dry_run=options.dry_run == "server"
            )
            made.append(video.document)
            if options.output == Format.TABLE:
                tried = " (server dry run)" if options.dry_run else ""
                say(f"texttovideojob.textto.video/{video.name} created{tried}")
            elif options.output == Format.NAME:
                say(video.name)
        if options.output in (Format.JSON, Format.YAML):
            say_documents(made, options.output, is_one=len(made) == 1)

    return on_the_cluster(act, options)


def _of_manifests(sources: list[str]) -> list[dict[str, Any]]:
    """The documents as they stand there, once they are known to be right."""
    found: list[dict[str, Any]] = []
    for source in sources:
        text, called = read_text(source)
        resources = read_manifests(text, called)
        videos_in(resources, [called])
        if models := [each.metadata.name for each in resources if each.kind != KIND]:
            complain(f"not submitted: VideoModel {', '.join(models)}; `kubectl apply` does that")
        found += (each for each in documents(text, called) if each["kind"] == KIND)
    return found


def _label(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ManifestError(f"--label {text}: say A=B")
    return name, value

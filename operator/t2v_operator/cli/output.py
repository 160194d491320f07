"""What every command does alike: print, complain, read manifests and the configuration."""

import argparse
import contextlib
import json
import sys
import uuid
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from t2v_api.resource import KIND, TextToVideoJob

from t2v_operator.cli.manifest import ManifestError, Resource, read_manifests


def say(line: str) -> None:
    """A line for programs and people, on standard output."""
    print(line, flush=True)  # noqa: T201


def complain(text: str) -> None:
    """A line for people, on standard error."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def takes_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="the operator's configuration file")


def takes_manifests(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        default=None if required else [],
        required=required,
        help="a manifest, '-' for standard input; may be given several times",
    )


def read_all(sources: Sequence[str]) -> list[Resource]:
    """The resources of every source, in order. Raises ManifestError."""
    return [resource for source in sources for resource in read_manifests(*read_text(source))]


def videos_in(resources: Sequence[Resource], sources: Sequence[str]) -> list[TextToVideoJob]:
    """Those that are videos. Raises ManifestError where none is."""
    videos = [each for each in resources if isinstance(each, TextToVideoJob)]
    if not videos:
        raise ManifestError(f"{', '.join(sources)}: no {KIND} in it")
    return videos


def with_uid(resource: TextToVideoJob) -> TextToVideoJob:
    """The API server gives every resource a uid; here that falls to us."""
    metadata = resource.metadata.model_copy(update={"uid": str(uuid.uuid4())})
    return resource.model_copy(update={"metadata": metadata})


def read_text(source: str) -> tuple[str, str]:
    """The text of a file, or of standard input for '-', and what it is called in messages.

    Raises ManifestError.
    """
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ManifestError(f"{source}: {reason}") from None
    return text, "standard input" if source == "-" else source


class Format(StrEnum):
    """How a command prints what it found."""

    TABLE = "table"
    WIDE = "wide"
    """A table with more columns."""
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


def takes_format(parser: argparse.ArgumentParser, *more: Format) -> None:
    """`--output`; `more` than a table, JSON and YAML."""
    choices = [each.value for each in (Format.TABLE, *more, Format.JSON, Format.YAML)]
    parser.add_argument("-o", "--output", choices=choices, default="table", help="how (table)")


def say_documents(documents: Sequence[Any], output: str, is_one: bool = False) -> None:
    """As kubectl prints them in JSON or YAML: one as it is, several as a List."""
    whole = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    say(formatted(documents[0] if is_one else whole, output))


def formatted(document: Any, output: str) -> str:
    """Plain data as indented JSON, or as YAML."""
    if output == Format.JSON:
        return json.dumps(document, indent=2, ensure_ascii=False)
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text.rstrip()

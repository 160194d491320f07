"""What every command does alike: print, complain, read manifests and the configuration."""

import argparse
import contextlib
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

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


def takes_manifests(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        required=True,
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

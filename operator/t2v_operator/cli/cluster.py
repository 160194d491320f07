"""What the commands that ask a cluster do alike: kubectl's options, errors and exit codes."""

import argparse
import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from t2v_api.base import ContractError
from t2v_api.reasons import ExitCode

from t2v_operator.cli.manifest import ManifestError
from t2v_operator.cli.output import complain, say

if TYPE_CHECKING:
    from t2v_client import AsyncClient

Act = Callable[["AsyncClient"], Awaitable[int | None]]
COMPLETION_SECONDS = 2.0
INTERRUPTED = 130
"""A shell's exit code after Ctrl-C."""


def takes_cluster(parser: argparse.ArgumentParser, everywhere: bool = False) -> None:
    """The options by which kubectl is told which cluster; `everywhere`: all namespaces, too."""
    parser.add_argument("-n", "--namespace", help="the context's, unless it is said")
    if everywhere:
        parser.add_argument(
            "-A",
            "--all-namespaces",
            dest="namespace",
            action="store_const",
            const="",
            help="of all namespaces",
        )
    takes_context(parser)


def takes_context(parser: argparse.ArgumentParser) -> None:
    """Of which cluster, as kubectl is told it."""
    parser.add_argument("--context", help="of the kubeconfig; the current one, unless it is said")
    parser.add_argument("--kubeconfig", metavar="FILE", help="KUBECONFIG, unless it is said")


def takes_names(parser: argparse.ArgumentParser) -> None:
    """Names of videos, which the shell completes, or labels that choose them."""
    takes_selector(parser)
    names = parser.add_argument("names", nargs="*", metavar="NAME", help="of a TextToVideoJob")
    names.completer = names_of_videos  # type: ignore[attr-defined]


def takes_selector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-l", "--selector", default="", metavar="LABELS", help="those with labels, as a=b"
    )


def on_the_cluster(act: Act, options: argparse.Namespace) -> int:
    """Do something by a client; 0, or what `act` gives; 1 after a complaint, as kubectl has it."""
    # Only what asks a cluster needs aiohttp.
    from t2v_client import T2vError

    async def run() -> int:
        async with _client(options) as client:
            return await act(client) or ExitCode.DONE

    try:
        return asyncio.run(run())
    except (T2vError, ContractError) as error:
        complain(str(error))
        return ExitCode.FAULT
    except KeyboardInterrupt:
        return INTERRUPTED


def for_each(
    options: argparse.Namespace,
    act: Callable[["AsyncClient", str], Awaitable[object]],
    done: str,
) -> int:
    """Do something with each video that is named; 1 where one was refused, the others are done."""
    from t2v_client import NothingToDo, ServerError

    async def all_of_them(client: "AsyncClient") -> int:
        code = ExitCode.DONE
        for name in await chosen(client, options):
            try:
                await act(client, name)
                say(f"texttovideojob.textto.video/{name} {done}")
            except (ServerError, NothingToDo) as error:
                complain(str(error))
                code = ExitCode.FAULT
        return code

    return on_the_cluster(all_of_them, options)


async def chosen(client: "AsyncClient", options: argparse.Namespace) -> list[str]:
    """The names that were given, and those of the selector. Raises ManifestError for none."""
    names = list(options.names)
    if options.selector:
        names += [each.name for each in await client.list(labels=options.selector)]
    elif not names:
        raise ManifestError("no video is named: give names, or a selector with -l")
    return list(dict.fromkeys(names))


def names_of_videos(
    prefix: str = "", parsed_args: argparse.Namespace | None = None, **_: object
) -> list[str]:
    """What a shell may complete a name to: nothing where no cluster answers at once."""
    from t2v_client import T2vError

    async def run() -> list[str]:
        async with (
            asyncio.timeout(COMPLETION_SECONDS),
            _client(parsed_args or argparse.Namespace()) as client,
        ):
            return [each.name for each in await client.list()]

    with contextlib.suppress(T2vError, TimeoutError):
        return [name for name in asyncio.run(run()) if name.startswith(prefix)]
    return []


def _client(options: argparse.Namespace) -> "AsyncClient":
    from t2v_client import AsyncClient

    return AsyncClient(
        namespace=getattr(options, "namespace", None),
        context=getattr(options, "context", None),
        kubeconfig=getattr(options, "kubeconfig", None),
    )

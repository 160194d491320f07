"""`t2v cost`: what videos took of GPUs, and what that cost."""

import argparse
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from t2v_operator.cli.cluster import on_the_cluster, takes_cluster
from t2v_operator.cli.output import Format, formatted, say
from t2v_operator.core.costs import By, Sum, sums, total

if TYPE_CHECKING:
    from t2v_client import AsyncClient

UNITS = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
HOUR_SECONDS = 3600


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=_age,
        default="30d",
        help="videos that ended in that time, or go on: 12h, 30d, 8w (30d)",
    )
    parser.add_argument(
        "--by", type=By, choices=list(By), default=By.NAMESPACE, help="what is summed (namespace)"
    )
    takes_cluster(parser, everywhere=True)
    # What is paid for is asked for as a whole.
    parser.set_defaults(namespace="")
    parser.add_argument("-o", "--output", choices=[Format.TABLE, Format.JSON], default="table")


def perform(options: argparse.Namespace) -> int:
    """Sum what videos took of GPUs, and what that cost."""

    async def act(client: "AsyncClient") -> None:
        since = datetime.now(UTC) - options.since
        found = sums([each.document for each in await client.list()], options.by, since)
        if options.output == Format.JSON:
            say(formatted(_document(found, options.by, since), options.output))
        else:
            for line in _table(found, options.by):
                say(line)

    return on_the_cluster(act, options)


def _table(found: list[Sum], by: By) -> Iterator[str]:
    rows = [(each.name or "-", each) for each in found]
    if len(found) != 1:
        rows.append(("TOTAL", total(found)))
    width = max(len(by), *(len(name) for name, _ in rows))
    yield f"{by.upper():{width}}  {'VIDEOS':>7}  {'GPU HOURS':>10}  COST"
    for name, each in rows:
        hours = each.gpu_seconds / HOUR_SECONDS
        costs = ", ".join(f"{amount:.2f} {money}" for money, amount in sorted(each.costs.items()))
        yield f"{name:{width}}  {each.videos:>7}  {hours:>10.2f}  {costs or '-'}"


def _document(found: list[Sum], by: By, since: datetime) -> dict[str, Any]:
    whole = total(found)
    return {
        "since": since.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "by": by.value,
        "sums": [{"name": each.name, **_figures(each)} for each in found],
        "total": _figures(whole),
    }


def _figures(each: Sum) -> dict[str, Any]:
    return {
        "videos": each.videos,
        "gpuSeconds": round(each.gpu_seconds, 3),
        "costs": [
            {"amount": str(amount), "currency": currency}
            for currency, amount in sorted(each.costs.items())
        ],
    }


def _age(text: str) -> timedelta:
    """Raises ArgumentTypeError."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 12h, 30d or 8w")
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])

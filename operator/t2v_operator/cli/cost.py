"""`t2v cost`: what videos took of GPUs, and what that cost."""

import argparse
import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from t2v_api.reasons import ExitCode

from t2v_operator.cli.output import complain, say
from t2v_operator.core.costs import By, Sum, sums, total

PAGE = "500"
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
    parser.add_argument("-n", "--namespace", help="of the videos; without it, of all namespaces")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")


def cost(options: argparse.Namespace) -> int:
    """Sum what videos took of GPUs and cost, on the cluster that kubectl talks to."""
    return asyncio.run(_cost(options))


async def _cost(options: argparse.Namespace) -> int:
    # Only what asks a cluster needs a Kubernetes client.
    from t2v_operator.cluster.client import Client
    from t2v_operator.cluster.connection import connect
    from t2v_operator.cluster.errors import UNANSWERED, ClusterError

    async with connect() as connection:
        try:
            documents = await _resources(Client(connection, lambda: True), options.namespace)
        except ClusterError as error:
            complain(str(error))
            return ExitCode.REQUEST_REFUSED
        except UNANSWERED as error:
            complain(f"the API server does not answer: {type(error).__name__} {error}")
            return ExitCode.STORAGE_OR_NETWORK
    since = datetime.now(UTC) - options.since
    found = sums(documents, options.by, since)
    if options.output == "json":
        say(json.dumps(_document(found, options.by, since), indent=2))
    else:
        for line in _table(found, options.by):
            say(line)
    return ExitCode.DONE


async def _resources(client: Any, namespace: str | None) -> list[dict[str, Any]]:
    """Page by page; of each what is summed, no more."""
    from t2v_operator.cluster.kinds import RESOURCES

    params, found = {"limit": PAGE}, []
    while True:
        answer = await client.list(RESOURCES, namespace, **params)
        found += [_read(each) for each in answer["items"]]
        token = (answer.get("metadata") or {}).get("continue")
        if not token:
            return found
        params["continue"] = token


def _read(document: dict[str, Any]) -> dict[str, Any]:
    metadata, status = document["metadata"], document.get("status") or {}
    wanted = ("gpuSeconds", "completionTime", "pool", "keyId", "cost")
    return {
        "metadata": {"namespace": metadata["namespace"], "labels": metadata.get("labels")},
        "spec": {"modelId": (document.get("spec") or {}).get("modelId", "")},
        "status": {name: status[name] for name in wanted if name in status},
    }


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

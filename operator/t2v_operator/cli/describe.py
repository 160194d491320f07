"""`t2v describe`."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from t2v_operator.cli.cluster import chosen, on_the_cluster, takes_cluster, takes_names
from t2v_operator.cli.output import Format, say, say_documents, takes_format
from t2v_operator.cli.shown import age, seconds, stage
from t2v_operator.cli.table import printable, table

if TYPE_CHECKING:
    from t2v_client import AsyncClient, Video

HIDDEN = ("prompt", "modelId")
"""Of the resolved request: told above."""


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser)
    takes_names(parser)
    takes_format(parser)


def perform(options: argparse.Namespace) -> int:
    """Tell all about videos: what was asked, what became of it, and the Events on the way."""

    async def act(client: "AsyncClient") -> None:
        videos = [await client.get(name) for name in await chosen(client, options)]
        if options.output != Format.TABLE:
            documents = [each.document for each in videos]
            say_documents(documents, options.output, is_one=len(documents) == 1)
            return
        for index, video in enumerate(videos):
            lines = described(video, await client.events(video), datetime.now(UTC))
            say("\n".join(["", *lines] if index else lines))

    return on_the_cluster(act, options)


def described(video: "Video", events: "Sequence[dict[str, Any]]", now: datetime) -> list[str]:
    """The lines about one video."""
    status, estimate = video.status, video.status.get("estimate") or {}
    facts = [
        ("Name", video.name),
        ("Namespace", video.namespace),
        ("Phase", f"{video.phase} ({video.reason})" if video.reason else video.phase),
        ("Message", video.message),
        ("Progress", f"{video.percent} %  {stage(video)}" if video.progress else ""),
        ("Age", age(video.created, now)),
        ("Model", video.model),
        ("Prompt", video.prompt),
        ("Drawn as", _if_other((status.get("resolved") or {}).get("prompt"), video.prompt)),
        ("Seed", video.seed),
        ("Pool", status.get("pool")),
        ("Job", status.get("jobName")),
        ("Expected", seconds(estimate.get("seconds"))),
        ("Expected end", estimate.get("completionTime")),
        ("Time", seconds(video.generation_seconds)),
        ("URL", video.url),
        ("Link until", status.get("linkExpiryTime")),
        ("SHA-256", video.sha256),
    ]
    lines = [f"{name + ':':14}{printable(str(value))}" for name, value in facts if value not in _NO]
    resolved = {k: v for k, v in (status.get("resolved") or {}).items() if k not in HIDDEN}
    lines += _section("Inputs", (f"{name}: {value}" for name, value in resolved.items()))
    timings = (status.get("timings") or {}).items()
    lines += _section("Seconds", (f"{name}: {value:g}" for name, value in timings))
    lines += _section("Attempts", _attempts(status.get("attempts") or ()))
    return lines + _events(events, now)


_NO = (None, "")


def _if_other(text: str | None, asked: str) -> str:
    return text if text and text != asked else ""


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    told = [f"  {printable(line)}" for line in lines]
    if told:
        yield f"{title}:"
        yield from told


def _attempts(attempts: "Sequence[dict[str, Any]]") -> Iterator[str]:
    for number, each in enumerate(attempts, start=1):
        outcome = each.get("reason") or ("done" if each.get("completionTime") else "runs")
        where = " on ".join(filter(None, (each.get("podName"), each.get("nodeName"))))
        why = f": {each['message']}" if each.get("message") else ""
        yield f"{number}. {outcome}{f' in {where}' if where else ''}{why}"


def _events(events: "Sequence[dict[str, Any]]", now: datetime) -> list[str]:
    if not events:
        return ["Events:       none"]
    rows = [
        [
            str(each.get("type", "")),
            str(each.get("reason", "")),
            age(_time(each), now),
            str(each.get("message", "")),
        ]
        for each in events
    ]
    return ["Events:", *(f"  {line}" for line in table(["TYPE", "REASON", "AGE", "MESSAGE"], rows))]


def _time(event: "dict[str, Any]") -> datetime | None:
    text = event.get("lastTimestamp") or event.get("eventTime")
    return datetime.fromisoformat(text) if text else None

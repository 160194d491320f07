"""What goes when, and for how long: drawn from a seed. Pure; knows no cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """What can go."""

    LEADER = "the operator's leader"
    OPERATOR = "the operator's replicas"
    GATEWAY = "the gateway's replicas"
    API_SERVER = "the API server"
    RUNNER_POD = "a runner's pod"
    STORE = "the store"
    POD_NETWORK = "the network of the node's pods"
    SERVICE_NETWORK = "the node's kube-proxy"


AWAY_SECONDS: dict[Kind, tuple[float, float]] = {
    Kind.OPERATOR: (3, 20),
    Kind.GATEWAY: (3, 20),
    # After 40 s Kubernetes takes a node for lost, which is another story.
    Kind.API_SERVER: (3, 15),
    Kind.STORE: (5, 25),
    Kind.POD_NETWORK: (3, 15),
    Kind.SERVICE_NETWORK: (5, 20),
}
"""The least and the most. What is not here is replaced by Kubernetes itself."""

WITHOUT_API_SERVER = frozenset({Kind.API_SERVER, Kind.POD_NETWORK})
"""What goes and comes back while nobody answers for the cluster; all else asks it for something.

So does kube-proxy, which is not well before it has been answered.
"""

APART_SECONDS: dict[Kind, float] = {Kind.API_SERVER: 150}
"""At least so long after it came back it goes again. Kubernetes's own controllers wait longer after
each outage that follows another within two minutes, and start no pods meanwhile.
"""

FIRST_SECONDS = 5.0
PAUSE_SECONDS = (4.0, 12.0)
"""Between the beginnings of two outages."""


@dataclass(frozen=True)
class Outage:
    """Seconds are counted from the beginning of the chaos."""

    kind: Kind
    begins: float
    ends: float


@dataclass(frozen=True)
class Step:
    """Something goes, or comes back."""

    at: float
    kind: Kind
    comes_back: bool


def a_schedule(seed: int, seconds: float) -> tuple[Outage, ...]:
    """The same for the same seed. Each kind as often as any other, where `APART_SECONDS` lets it.

    Outages of different kinds overlap; while the API server is away, only what needs none of it
    goes or comes back.
    """
    random = Random(f"outages {seed}")
    chosen: list[Outage] = []
    at = FIRST_SECONDS
    for kind in _kinds(random):
        if _is_too_soon(kind, at, chosen):
            continue
        away = random.uniform(*AWAY_SECONDS[kind]) if kind in AWAY_SECONDS else 0.0
        outage = Outage(kind, at, at + away)
        while any(_clash(outage, other) for other in chosen):
            at += 1
            outage = Outage(kind, at, at + away)
        if outage.ends > seconds:
            break
        chosen.append(outage)
        at += random.uniform(*PAUSE_SECONDS)
    return tuple(chosen)


def steps(schedule: Sequence[Outage]) -> list[Step]:
    """All that is to be done, in order."""
    goes = [Step(outage.begins, outage.kind, comes_back=False) for outage in schedule]
    back = [
        Step(outage.ends, outage.kind, comes_back=True)
        for outage in schedule
        if outage.kind in AWAY_SECONDS
    ]
    return sorted([*goes, *back], key=lambda step: step.at)


def _kinds(random: Random) -> Iterator[Kind]:
    """Each once, in an order by chance, then each once more."""
    while True:
        yield from random.sample(list(Kind), k=len(Kind))


def _is_too_soon(kind: Kind, at: float, chosen: Sequence[Outage]) -> bool:
    apart = APART_SECONDS.get(kind)
    return apart is not None and any(at < each.ends + apart for each in chosen if each.kind is kind)


def _clash(one: Outage, other: Outage) -> bool:
    if one.kind is other.kind:
        return one.begins <= other.ends and other.begins <= one.ends
    return _is_asked_in_vain(one, other) or _is_asked_in_vain(other, one)


def _is_asked_in_vain(one: Outage, away: Outage) -> bool:
    """Whether the API server is away when `one` begins or ends."""
    if away.kind is not Kind.API_SERVER or one.kind in WITHOUT_API_SERVER:
        return False
    return any(away.begins <= moment <= away.ends for moment in (one.begins, one.ends))

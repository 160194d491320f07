"""The videos of the chaos, drawn from a seed: who asks for each, and what becomes of it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

MADE = "chaos"
"""What the names of all begin with that are applied as resources."""
ASKED_FOR = 0.75
"""By this part of the time all are asked for."""
STEPS = 20


class Fate(StrEnum):
    """What whoever asked does with it afterwards."""

    KEPT = "kept"
    CANCELLED = "cancelled"
    DELETED = "deleted"


@dataclass(frozen=True)
class Video:
    """Its name is its trackId as well: the gateway names its resources itself."""

    name: str
    prompt: str
    seed: int
    at: float = 0.0
    """Seconds from the beginning."""
    is_real: bool = False
    """Drawn by the runner in a pod, and uploaded; all others run on simulated nodes."""
    by_gateway: bool = False
    fate: Fate = Fate.KEPT
    fate_at: float = 0.0
    has_reference: bool = False
    """Whether the very same was made undisturbed, before."""

    @property
    def request(self) -> tuple[str, int]:
        """Equal for videos that show the same."""
        return self.prompt, self.seed


def some_videos(seed: int, count: int, seconds: float) -> tuple[Video, ...]:
    """The same for the same arguments. `count` is 12 at least."""
    random = Random(f"videos {seed}")
    chosen = list(_kinds(count, seed))
    rest = count - len(chosen)
    chosen += [_simulated(f"{MADE}-plain-{n}", seed) for n in range(rest)]
    return tuple(_timed(video, random, seconds) for video in chosen)


def references(videos: tuple[Video, ...]) -> tuple[Video, ...]:
    """One for each request that is to be made undisturbed as well."""
    wanted = {video.request: video for video in videos if video.has_reference}
    return tuple(wanted.values())


def _kinds(count: int, seed: int) -> Iterator[Video]:
    """All but the plain ones."""
    for pair in range(max(1, count // 10)):
        prompt = f"a large red circle moving right, number {pair} of {seed}"
        for twin in "ab":
            name = f"{MADE}-twin-{pair}{twin}"
            yield Video(name, prompt, seed=pair, is_real=True, has_reference=True)
    for number in range(max(1, count // 15)):
        yield _real(f"{MADE}-real-deleted-{number}", seed, Fate.DELETED)
    yield _real(f"{MADE}-real-cancelled", seed, Fate.CANCELLED)
    for number in range(max(1, count // 10)):
        yield replace(_simulated(f"{MADE}-cancelled-{number}", seed), fate=Fate.CANCELLED)
        yield replace(_simulated(f"{MADE}-deleted-{number}", seed), fate=Fate.DELETED)
    for number in range(max(2, count // 5)):
        yield replace(_simulated(f"order-{number}", seed), by_gateway=True)


def _real(name: str, seed: int, fate: Fate) -> Video:
    return replace(_simulated(name, seed), is_real=True, fate=fate)


def _simulated(name: str, seed: int) -> Video:
    return Video(name, f"a small blue square moving left for {name} of {seed}", seed=1)


def _timed(video: Video, random: Random, seconds: float) -> Video:
    """Some are taken back while they are made, some when they are there."""
    at = random.uniform(0, ASKED_FOR * seconds)
    later = random.choice((random.uniform(2, 20), random.uniform(20, 120)))
    return replace(video, at=at, fate_at=min(at + later, seconds))

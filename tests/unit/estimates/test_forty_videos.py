"""Forty videos of mixed sizes on two GPUs: how true the end is that they were told at half time."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from t2v_api.progress import Stage
from t2v_api.resource import ResolvedRequest
from t2v_operator.core.earlier_runs import EarlierRuns
from t2v_operator.core.estimates.forecasts import Forecasts
from t2v_operator.core.estimates.line import InLine, Key, Standing, Turn
from t2v_operator.core.estimates.seconds import shape_of

from tests.unit.observations import START, at, text
from tests.unit.test_memory import a_request

SIZES = (
    {"width": 832, "height": 480, "num_frames": 41, "num_inference_steps": 30},
    {"width": 832, "height": 480, "num_frames": 81, "num_inference_steps": 50},
    {"width": 1280, "height": 720, "num_frames": 41, "num_inference_steps": 40},
    {"width": 480, "height": 272, "num_frames": 25, "num_inference_steps": 20},
    {"width": 832, "height": 480, "num_frames": 25, "num_inference_steps": 50},
)
LOOK_SECONDS = 10.0
"""The runner's reports, and so the looks, come at least so often."""
WRONG_SHARE, RIGHT_AT_LEAST = 0.2, 36


@dataclass
class Video:
    """What is asked for, and what it will take, which nobody knows before."""

    key: Key
    request: Any
    timings: dict[str, float]
    started: float = -1.0
    ended: float = -1.0

    @property
    def seconds(self) -> float:
        return sum(self.timings.values())


def some_videos(chance: random.Random) -> list[Video]:
    videos = []
    for number in range(40):
        request = a_request(**chance.choice(SIZES))
        shape = shape_of(request)
        gigapixels = shape.pixels / 1e6
        timings = {
            Stage.LOAD: 40 * chance.uniform(0.9, 1.1),
            # A step grows faster than the pixels, and machines are not equally fast.
            Stage.DENOISE: shape.steps * 0.11 * gigapixels**1.3 * chance.uniform(0.92, 1.08),
            Stage.DECODE: 0.8 * gigapixels * chance.uniform(0.9, 1.1),
        }
        videos.append(Video(("films", f"v{number}"), request, timings))
    return videos


class Cluster:
    """Two GPUs, and what the operator sees of them."""

    def __init__(self, videos: list[Video], chance: random.Random) -> None:
        self.videos, self._chance = videos, chance
        self._runs = EarlierRuns()
        self._line = Forecasts(self._known, lambda _: self._runs.usual_seconds("m"), {"pool": 2})
        self.told: dict[Key, list[tuple[float, float]]] = {video.key: [] for video in videos}
        """By video: at what time which end was expected."""

    def run(self) -> None:
        waiting, running = list(self.videos), dict[Key, Video]()
        free, time = 2, 0.0
        ends: list[tuple[float, Key]] = []
        for number, video in enumerate(waiting):
            self._line.see(video.key, self._in_line(video, number))
        while waiting or running:
            while waiting and free:
                video = waiting.pop(0)
                video.started, free = time, free - 1
                running[video.key] = video
                heapq.heappush(ends, (time + video.seconds, video.key))
            next_end = ends[0][0]
            for look in self._looks(time, next_end):
                self._look(look, running, waiting)
            time, key = heapq.heappop(ends)
            video = running.pop(key)
            video.ended, free = time, free + 1
            self._line.see(key, None)
            self._learn(video)

    def _looks(self, since: float, until: float) -> Iterator[float]:
        while since < until:
            yield since
            since += LOOK_SECONDS

    def _look(self, time: float, running: dict[Key, Video], waiting: list[Video]) -> None:
        for video in running.values():
            self._line.see(video.key, replace(self._in_line(video, 0), **self._report(video, time)))
        for video in (*running.values(), *waiting):
            times = self._line.of(video.key, at(time))
            if times:
                self.told[video.key].append((time, times.completion - START.timestamp()))

    def _report(self, video: Video, time: float) -> dict[str, datetime | None]:
        """Its end as the runner itself says, once some steps are done: not quite true."""
        told = {"started": at(video.started), "ends": None}
        left = video.started + video.seconds - time
        if time - video.started > video.timings[Stage.LOAD] + 5:
            told["ends"] = at(time + left * self._chance.uniform(0.9, 1.1))
        return told

    def _in_line(self, video: Video, number: int) -> InLine:
        shape = shape_of(video.request)
        return InLine("pool", "m", 1, shape, None, turn=Turn(Standing.WAITS_FOR_A_NODE, number))

    def _known(self, each: InLine) -> float | None:
        assert each.shape
        return self._runs.predicted("m", "pool", each.shape)

    def _learn(self, video: Video) -> None:
        resolved = ResolvedRequest(
            **(dict(video.request) | {"model_id": "m"}), model_revision="any", runner_image="any"
        )
        status = {
            "phase": "Succeeded",
            "pool": "pool",
            "resolved": resolved.document(),
            "timings": {str(stage): seconds for stage, seconds in video.timings.items()},
            "completionTime": text(at(video.ended)),
        }
        self._runs.take({"status": status})


def mistake_at_half_time(video: Video, told: list[tuple[float, float]]) -> float:
    """Of the end that was told last by then, as a share of the time from the request to the end."""
    by_then = [end for time, end in told if time <= video.ended / 2]
    return abs(by_then[-1] - video.ended) / video.ended if by_then else 1.0


@pytest.mark.parametrize("seed", range(5))
def test_the_end_that_is_told_at_half_time_is_nearly_true(seed: int) -> None:
    chance = random.Random(seed)
    cluster = Cluster(some_videos(chance), chance)
    cluster.run()
    mistakes = [mistake_at_half_time(each, cluster.told[each.key]) for each in cluster.videos]
    right = [each for each in mistakes if each <= WRONG_SHARE]
    assert len(right) >= RIGHT_AT_LEAST, sorted(round(each, 2) for each in mistakes)[-8:]

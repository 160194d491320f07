"""Ten minutes of chaos: parts go and come back while videos are asked for and made."""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from operator import methodcaller
from typing import Any, TypeVar

import httpx2
from harness.errors import HarnessError
from harness.waiting import wait_until
from installation import RELEASE, SIMULATED, Document, Installation, Workspace, a_manifest

from chaos.faults import Fault
from chaos.judgement import Evidence, is_settled, left_in_the_store
from chaos.lives import Lives
from chaos.schedule import Kind, Outage, Step, steps
from chaos.videos import STEPS, Fate, Video
from chaos.watching import watched

PATIENCE_SECONDS = 120.0
"""With what is asked of a cluster of which parts are away."""
SETTLE_SECONDS = 900.0
"""After the chaos. A Job's pauses double with each pod that it lost, up to ten minutes."""
LAST_FILES_SECONDS = 60.0
"""Until what a stopped runner still uploaded has been removed."""
TEXT2VIDEO = "/api/v1/enterprise/text2video"
TAKEN = ("success", "processing", "failed")

Result = TypeVar("Result")

# The files of a namespace, one path a line, from its own folder on.
_LIST = """
import os, sys
for folder, _, files in os.walk("/data"):
    before, found, path = folder.partition(f"/{sys.argv[1]}/")
    for file in files if found else ():
        print(f"{path}/{file}")
"""


@dataclass(frozen=True)
class Place:
    """Where videos are asked for, and who is told of them."""

    installation: Installation
    workspace: Workspace
    gateway: str
    """Its address."""
    key: str
    """For the gateway; opens the pool of simulated nodes."""
    webhook: str


@dataclass
class TimeLine:
    """Tells what happens when, so that a run that is cut short has told as well."""

    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def note(self, what: str) -> None:
        print(f"{self.seconds:6.1f} s  {what}", flush=True)


class Chaos:
    """One run; `time_line` and what `run` returns tell of it."""

    def __init__(
        self,
        place: Place,
        faults: Mapping[Kind, Fault],
        schedule: Sequence[Outage],
        videos: Sequence[Video],
    ) -> None:
        self._place = place
        self._faults = faults
        self._steps = steps(schedule)
        self._videos = videos
        self._given_up = threading.Event()
        self._wrong: list[str] = []
        self.time_line = TimeLine()

    def run(
        self, frames: Mapping[tuple[str, int], str], received: Sequence[tuple[Any, bytes]]
    ) -> Evidence:
        """All of it, until everything is back and has come to rest.

        `frames`: of the undisturbed videos. `received`: where the webhooks arrive.
        """
        with watched(self._place.workspace.namespace) as (jobs, pods):
            self.time_line.began = time.monotonic()
            self._live_and_break()
            self._settle()
        self.time_line.note(f"{jobs.count} Jobs and {pods.count} pods were seen")
        self.time_line.note(f"the watches began anew {jobs.gaps} and {pods.gaps} times")
        return self._without_last_files(self._evidence(frames, received, jobs, pods))

    def _live_and_break(self) -> None:
        with ThreadPoolExecutor(len(self._videos)) as threads:
            lives = {video: threads.submit(self._live, video) for video in self._videos}
            try:
                for step in self._steps:
                    self._take(step)
            except BaseException:
                self._given_up.set()
                raise
            finally:
                self._bring_all_back()
        self._wrong += (f"{video.name}: {each}" for video, each in _errors(lives))

    def _take(self, step: Step) -> None:
        """One that cannot be taken is told of, and the rest goes on."""
        self._sleep_until(step.at)
        fault = self._faults[step.kind]
        try:
            if step.comes_back:
                persistently(fault.bring_back)
                self.time_line.note(f"{step.kind}: back")
            else:
                what = persistently(fault.kill)
                self.time_line.note(f"{step.kind}: {what or 'away'}")
        except HarnessError as error:
            verb = "come back" if step.comes_back else "go"
            self._wrong.append(f"{step.kind} did not {verb}: {error}")

    def _bring_all_back(self) -> None:
        """Whatever happened; one that does not come keeps no other away."""
        self.time_line.note("everything is told to come back")
        for act in (methodcaller("bring_back"), methodcaller("wait_until_well")):
            for kind, fault in self._faults.items():
                try:
                    persistently(partial(act, fault))
                except HarnessError as error:
                    self._wrong.append(f"{kind} did not come back: {error}")
        self.time_line.note("everything is back")

    def _live(self, video: Video) -> None:
        """A video's life, as whoever asks for it sees it."""
        self._sleep_until(video.at)
        ask = self._ask_the_gateway if video.by_gateway else self._apply
        persistently(lambda: ask(video))
        self.time_line.note(f"  {video.name} is asked for")
        if video.fate is Fate.KEPT:
            return
        self._sleep_until(video.fate_at)
        take_back = self._delete if video.fate is Fate.DELETED else self._cancel
        persistently(lambda: take_back(video))
        self.time_line.note(f"  {video.name} is {video.fate}")

    def _apply(self, video: Video) -> None:
        self._place.workspace.apply(manifest(video, self._place.webhook))

    def _ask_the_gateway(self, video: Video) -> None:
        """The same body each time, so that it is one video whoever died over it."""
        body = {
            "key": self._place.key,
            "model_id": "tiny-shapes",
            "prompt": video.prompt,
            "seed": video.seed,
            "track_id": video.name,
            "webhook": self._place.webhook,
        }
        try:
            url = self._place.gateway + TEXT2VIDEO
            answer = httpx2.post(url, json=body, timeout=30, trust_env=False).json()
        except (httpx2.HTTPError, ValueError) as error:
            raise HarnessError(f"the gateway does not answer: {error!r}") from error
        if answer.get("status") not in TAKEN:
            raise HarnessError(f"the gateway says {answer}")

    def _cancel(self, video: Video) -> None:
        self._place.workspace.patch(video.name, cancel=True)

    def _delete(self, video: Video) -> None:
        self._place.workspace.kubectl(
            "delete", "t2v", video.name, "--wait=false", "--ignore-not-found"
        )

    def _sleep_until(self, seconds: float) -> None:
        self._given_up.wait(max(0.0, seconds - self.time_line.seconds))

    def _settle(self) -> None:
        """If it does not, the judgement says what had not ended."""

        def settled() -> bool:
            found = by_track_id(persistently(self._resources))
            return is_settled(lambda video: found.get(video.name, ()), self._videos)

        with suppress(HarnessError):
            wait_until(settled, "all have ended", SETTLE_SECONDS, every_seconds=3)
            self.time_line.note("all have ended")

    def _resources(self) -> list[Document]:
        items: list[Document] = json.loads(
            self._place.workspace.kubectl("get", "t2v", "-o", "json")
        )["items"]
        return items

    def _evidence(
        self,
        frames: Mapping[tuple[str, int], str],
        received: Sequence[tuple[Any, bytes]],
        jobs: Lives,
        pods: Lives,
    ) -> Evidence:
        resources = persistently(self._resources)
        return Evidence(
            videos=self._videos,
            resources=resources,
            told=Counter(str(json.loads(body).get("track_id")) for _, body in received),
            opened=dict(self._opened(resources)),
            stored=persistently(self._stored),
            makers=jobs.makers,
            frames=frames,
            seen=[*self._wrong, *jobs.wrong, *pods.wrong],
        )

    def _without_last_files(self, evidence: Evidence) -> Evidence:
        """Looked at again, for a while, where something is left in the store."""
        deadline = time.monotonic() + LAST_FILES_SECONDS
        while any(left_in_the_store(evidence)) and time.monotonic() < deadline:
            time.sleep(3)
            evidence = replace(evidence, stored=persistently(self._stored))
        return evidence

    def _opened(self, resources: Sequence[Document]) -> Iterator[tuple[str, str]]:
        real = {video.name for video in self._videos if video.is_real}
        for resource in resources:
            url = resource["status"].get("outputUrl")
            if url and resource["spec"].get("trackId") in real:
                yield resource["metadata"]["name"], _what_opens(url)

    def _stored(self) -> dict[str, list[str]]:
        listed = self._place.installation.kubectl(
            *("exec", f"{RELEASE}-store-0", "--", "python", "-c", _LIST),
            self._place.workspace.namespace,
        )
        folders: dict[str, list[str]] = {}
        for path in listed.split():
            folder, _, file = path.rpartition("/")
            folders.setdefault(folder, []).append(file)
        return folders


def manifest(video: Video, webhook: str | None = None) -> Document:
    """A resource that survives whatever happens to its pods."""
    spec: Document = {
        "prompt": video.prompt,
        "seed": video.seed,
        "numInferenceSteps": STEPS,
        "backoffLimit": 50,
        "maxDisruptions": 100,
        "trackId": video.name,
    }
    if webhook:
        spec["webhook"] = webhook
    if not video.is_real:
        spec["pool"] = SIMULATED
    if video.fate is Fate.DELETED:
        spec["outputPolicy"] = "Delete"
    return a_manifest(video.name, **spec)


def undisturbed(
    workspace: Workspace, videos: Sequence[Video], tag: str
) -> dict[tuple[str, int], str]:
    """Make these with nothing in their way; the sha256 of the frames of each."""
    calm = [replace(video, name=f"{video.name}-{tag}") for video in videos]
    workspace.apply(*(manifest(video) for video in calm))
    frames = {}
    for video in calm:
        status = workspace.wait_for_phase(video.name, "Succeeded", "Failed", seconds=400)
        assert status["phase"] == "Succeeded", status["message"]
        frames[video.request] = str(status["video"]["framesSha256"])
    return frames


def by_track_id(resources: Sequence[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for each in resources:
        found.setdefault(str(each["spec"].get("trackId")), []).append(each)
    return found


def persistently(act: Callable[[], Result], seconds: float = PATIENCE_SECONDS) -> Result:
    """Do it, again and again while it fails. Raises the last HarnessError when too late."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except HarnessError:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def _errors(lives: Mapping[Video, Future[None]]) -> Iterator[tuple[Video, BaseException]]:
    for video, life in lives.items():
        error = life.exception()
        if error is not None:
            yield video, error


def _what_opens(url: str) -> str:
    """Its sha256, or why there is none."""
    try:
        answer = httpx2.get(url, timeout=60, trust_env=False)
    except httpx2.HTTPError as error:
        return repr(error)
    if answer.status_code != httpx2.codes.OK:
        return f"status {answer.status_code}"
    return hashlib.sha256(answer.content).hexdigest()

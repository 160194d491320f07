"""Kill the leading operator again and again while videos are made: none is lost, none made twice.

On the tests' cluster (python tests/cluster/harness up) with simulated nodes. Two operators run,
each process in a network of its own, so that the API server's audit log tells who wrote what. The
leader is killed, stopped for a minute, cut off, asked to end, in turn; the other takes over. All
the while a fixed number of resources is on its way, some are edited, and a watch records each Job.

    python benchmarks/operator_failover.py --kills 4       # about 3 minutes
    python benchmarks/operator_failover.py                 # 20 kills, about 15 minutes
"""

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any

import orjson
from aiohttp import ClientError
from candidate import Candidate, networks
from operator_process import configuration
from simulated_cluster import (
    AUDIT_LOG,
    RESULT,
    RUN_SECONDS,
    Manifest,
    OneNodeCluster,
    a_video,
    clean_up_when_terminated,
    connected,
    events,
    free_cluster,
    installed_crds,
    namespace,
    position,
    simulated_nodes,
)
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import JOBS, LEASES, PODS, RESOURCES, Kind
from t2v_operator.core.names import REQUEST_LABEL

SPACE = "bench-failover"
LEASE = "benchmark"
PORT = 18081
TTL_SECONDS = 20
"""Jobs are removed soon, so that only the resource itself can say that its video is made."""
RUNS_SECONDS = (5.0, 20.0)
EDITED_EACH = 4
"""Of so many resources one is edited while it runs, and one when it has its video."""
STOPPED_SECONDS, CUT_SECONDS = 60.0, 40.0
ENDS_SECONDS = 40.0
"""A leader that lost its lease has ended by then."""
LIMIT_SECONDS, LIMIT_WHEN_ASKED = 20.0, 5.0
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
MATTER = frozenset({"texttovideojobs", "jobs", "pods", "workloads"})


@dataclass(frozen=True)
class Request:
    """One line of the audit log: what one of the candidates wrote."""

    time: float
    address: str
    verb: str
    resource: str
    name: str
    status: int

    @property
    def was_done(self) -> bool:
        return self.status < 300


class AuditLog:
    """The candidates' writes, but for the lease's."""

    def __init__(self, log: Path) -> None:
        self._file = log.open("rb")
        self._file.seek(0, 2)
        self._rest = b""
        self.requests: list[Request] = []

    def read(self) -> None:
        """Take in what is new."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            if b'"10.87.250.' in line:
                self._take(orjson.loads(line))

    def by(self, address: str, since: float) -> list[Request]:
        return [r for r in self.requests if r.address == address and r.time >= since]

    def _take(self, entry: dict[str, Any]) -> None:
        target = entry.get("objectRef", {})
        if entry["verb"] not in WRITES or target.get("resource") == "leases":
            return
        self.requests.append(
            Request(
                time=datetime.fromisoformat(entry["stageTimestamp"]).timestamp(),
                address=entry["sourceIPs"][0],
                verb=entry["verb"],
                resource=target.get("resource", ""),
                name=target.get("name", ""),
                status=entry.get("responseStatus", {}).get("code", 0),
            )
        )


class JobRecord:
    """Every Job and every pod there ever was."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.jobs_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        """By owner's uid and request: the uids of its Jobs."""
        self.pods_of: dict[str, set[str]] = defaultdict(set)
        """By Job's uid."""
        self._unfinished: dict[str, dict[str, str]] = defaultdict(dict)
        """By owner's uid: the names of its Jobs by uid."""

    def take_job(self, what: str, job: Manifest) -> None:
        metadata = job["metadata"]
        owner = metadata["ownerReferences"][0]["uid"]
        uid, name = metadata["uid"], metadata["name"]
        self.jobs_of[owner, metadata["labels"][REQUEST_LABEL]].add(uid)
        unfinished = self._unfinished[owner]
        if what == "DELETED" or _is_finished(job):
            unfinished.pop(uid, None)
            return
        if uid not in unfinished and unfinished:
            others = ", ".join(unfinished.values())
            self.complaints.append(f"Job {name} was made while {others} was unfinished")
        unfinished[uid] = name

    def take_pod(self, what: str, pod: Manifest) -> None:
        owner = pod["metadata"]["ownerReferences"][0]
        self.pods_of[owner["uid"]].add(pod["metadata"]["uid"])


@dataclass
class Video:
    """A resource on its way."""

    name: str
    edit_when: str | None
    """The phase in which it is edited, once."""
    requests: int = 1
    """As many as its generation says, once the API server has the edit."""
    uid: str = ""


class Traffic:
    """A fixed number of resources on their way: one that has its video makes room for the next."""

    def __init__(self, client: Client, size: int, record: JobRecord) -> None:
        self._client = client
        self._size = size
        self._record = record
        self._numbers = itertools.count()
        self._goes_on = True
        self._settings_off: set[asyncio.Task[None]] = set()
        self.on_their_way: dict[str, Video] = {}
        self.made: dict[str, Video] = {}

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        """Inside the block."""
        watched: list[tuple[Kind, Callable[[str, Manifest], None]]] = [
            (JOBS, self._record.take_job),
            (PODS, self._pod),
            (RESOURCES, self._resource),
        ]
        tasks = []
        for kind, take in watched:
            start = await position(self._client, kind, SPACE)
            tasks.append(asyncio.create_task(self._watch(kind, start, take)))
        for _ in range(self._size):
            self._next()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def drain(self, seconds: float = 240) -> None:
        """Make no more, and wait until all have their video; or for so long."""
        self._goes_on = False
        deadline = time.monotonic() + seconds
        while self.on_their_way and time.monotonic() < deadline:
            await asyncio.sleep(0.5)

    async def _watch(self, kind: Kind, start: str, take: Callable[[str, Manifest], None]) -> None:
        async for what, document in events(self._client, kind, SPACE, start):
            take(what, document)

    def _next(self) -> None:
        number = next(self._numbers)
        when = {0: "Running", 1: "Succeeded"}.get(number % EDITED_EACH)
        video = Video(f"video-{number}", when)
        self.made[video.name] = self.on_their_way[video.name] = video
        manifest = a_video(video.name, SPACE, seed=number)
        self._set_off(lambda: self._client.create(RESOURCES, SPACE, manifest))

    def _resource(self, what: str, document: Manifest) -> None:
        name, status = document["metadata"]["name"], document.get("status", {})
        video = self.on_their_way.get(name)
        if video is None:
            return
        video.uid = document["metadata"]["uid"]
        generation = document["metadata"]["generation"]
        if generation != video.requests or status.get("observedGeneration") != generation:
            return
        if video.edit_when == status.get("phase"):
            self._edit(video)
        elif status.get("phase") in ("Succeeded", "Failed"):
            del self.on_their_way[name]
            if self._goes_on:
                self._next()

    def _edit(self, video: Video) -> None:
        video.edit_when = None
        video.requests += 1
        patch = {"spec": {"prompt": "a blue circle moving left"}}
        self._set_off(lambda: self._client.patch(RESOURCES, SPACE, video.name, patch))

    def _pod(self, what: str, pod: Manifest) -> None:
        self._record.take_pod(what, pod)
        if what != "ADDED":
            return
        name, seconds = pod["metadata"]["name"], f"{random.uniform(*RUNS_SECONDS):.1f}"
        patch = {"metadata": {"annotations": {RUN_SECONDS: seconds}}}
        self._set_off(lambda: self._client.patch(PODS, SPACE, name, patch))

    def _set_off(self, call: Callable[[], Awaitable[Any]]) -> None:
        task = asyncio.create_task(_until_answered(call))
        self._settings_off.add(task)
        task.add_done_callback(self._settings_off.discard)


async def _until_answered(call: Callable[[], Awaitable[Any]]) -> None:
    """What is gone, or there already, is answered."""
    while True:
        try:
            await call()
        except ClusterError as error:
            if error.status in (404, 409):
                return
        except (ClientError, TimeoutError, OSError):
            pass
        else:
            return
        await asyncio.sleep(0.5)


@dataclass
class Failover:
    """One kill, and what came of it. Times are seconds since the kill."""

    number: int
    fault: "Fault"
    old: Candidate
    began: float
    new: Candidate | None = None
    took_lease: float = 0.0
    wrote: float = 0.0
    ended: float | None = None
    """When the old one was gone; None if it had to be killed."""
    late: list[Request] = field(default_factory=list)
    """What the old one still wrote once the new one had the lease."""
    refused: list[Request] = field(default_factory=list)
    """What it tried to write then."""

    @property
    def seconds(self) -> float:
        return max(self.took_lease, self.wrote)

    def complaints(self) -> Iterator[str]:
        what = f"kill {self.number} ({self.fault.name})"
        if self.new is None:
            yield f"{what}: nobody took over in {ENDS_SECONDS:.0f} s"
        elif self.seconds > self.fault.limit_seconds:
            yield f"{what}: took {self.seconds:.1f} s, over {self.fault.limit_seconds:.0f}"
        if self.ended is None:
            yield f"{what}: the old leader did not end by itself"
        for request in self.late:
            if request.resource in MATTER:
                yield f"{what}: the old leader wrote when another led: {request}"


@dataclass(frozen=True)
class Fault:
    """What befalls the leader."""

    name: str
    strike: Callable[[Candidate], None]
    lasts_seconds: float = 0.0
    heal: Callable[[Candidate], None] = lambda _: None
    limit_seconds: float = LIMIT_SECONDS


FAULTS = (
    Fault("SIGKILL", lambda leader: leader.process.send(SIGKILL)),
    Fault(
        "SIGSTOP, SIGCONT",
        lambda leader: leader.process.send(SIGSTOP),
        STOPPED_SECONDS,
        lambda leader: leader.process.send(SIGCONT),
    ),
    Fault("cut off, healed", Candidate.cut_off, CUT_SECONDS, Candidate.heal),
    Fault(
        "SIGTERM",
        lambda leader: leader.process.send(SIGTERM),
        limit_seconds=LIMIT_WHEN_ASKED,
    ),
)


class Duel:
    """Two candidates; whoever ends is replaced."""

    def __init__(self, client: Client, launch: Callable[[], Candidate], audit: AuditLog) -> None:
        self._client = client
        self._launch = launch
        self._audit = audit
        self._candidates: list[Candidate] = []
        self._spared: set[Candidate] = set()
        self._holder = ""
        self._since = 0.0
        self.unasked: list[str] = []
        """Candidates that ended though nothing befell them."""

    async def watch_lease(self) -> None:
        """For ever: who holds it."""
        start = await position(self._client, LEASES, SPACE)
        async for _, lease in events(self._client, LEASES, SPACE, start):
            holder = lease["spec"].get("holderIdentity") or ""
            if holder != self._holder:
                self._holder, self._since = holder, time.time()

    async def fail_over(self, number: int, fault: Fault) -> Failover:
        """Wait until one leads and the other is ready; strike; see what comes of it."""
        old = await self._ready()
        await asyncio.sleep(random.uniform(2, 5))
        self._spared.add(old)
        failover = Failover(number, fault, old, time.time())
        fault.strike(old)
        if not fault.lasts_seconds:
            self._candidates.remove(old)
        gone = asyncio.create_task(_gone_after(failover))
        healed = asyncio.create_task(_healed(failover))
        await self._see_new_leader(failover)
        while not (healed.done() and gone.done()):
            self._keep_two()
            await asyncio.sleep(0.1)
        await healed
        failover.ended = await gone
        if old in self._candidates:
            self._candidates.remove(old)
        self._spared.discard(old)
        return failover

    def look_back(self, failover: Failover) -> None:
        """What the old one wrote too late; to be called when all is over."""
        if failover.new is None:
            return
        since = failover.began + failover.took_lease
        for request in self._audit.by(failover.old.address, since):
            (failover.late if request.was_done else failover.refused).append(request)

    async def _ready(self) -> Candidate:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            self._keep_two()
            leader = self._leader()
            if leader and all([await asyncio.to_thread(c.is_ready) for c in self._candidates]):
                return leader
            await asyncio.sleep(0.5)
        raise RuntimeError("no two candidates of which one leads, within 120 s")

    async def _see_new_leader(self, failover: Failover) -> None:
        while time.time() < failover.began + ENDS_SECONDS:
            self._keep_two()
            self._audit.read()
            new = self._leader()
            if new and new is not failover.old:
                writes = self._audit.by(new.address, failover.began)
                done = [r for r in writes if r.was_done and r.resource in MATTER]
                failover.new, failover.took_lease = new, self._since - failover.began
                if done:
                    failover.wrote = done[0].time - failover.began
                    return
            await asyncio.sleep(0.05)
        failover.new = None

    def _leader(self) -> Candidate | None:
        """The candidate that holds the lease, as far as is known."""
        named = (c for c in self._candidates if self._holder.startswith(f"{c.name}_"))
        return next(named, None)

    def _keep_two(self) -> None:
        """Start one for each that ended, but for the one that something befell."""
        for candidate in [c for c in self._candidates if c.process.has_ended]:
            if candidate not in self._spared:
                self.unasked.append(f"{candidate.name} ended unasked: {candidate.last_words()}")
                self._candidates.remove(candidate)
        for spared in [c for c in self._spared if c.process.has_ended and c in self._candidates]:
            self._candidates.remove(spared)
        while len(self._candidates) < 2:
            self._candidates.append(self._launch())


async def _gone_after(failover: Failover) -> float | None:
    """Seconds from the kill to the end of the old one's process; None if it had to be ended."""
    process = failover.old.process
    deadline = failover.began + failover.fault.lasts_seconds + ENDS_SECONDS
    while not process.has_ended:
        if time.time() > deadline:
            process.kill()
            return None
        await asyncio.sleep(0.05)
    return time.time() - failover.began


async def _healed(failover: Failover) -> None:
    await asyncio.sleep(failover.fault.lasts_seconds)
    failover.fault.heal(failover.old)


def _is_finished(job: Manifest) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


async def every_resource(client: Client) -> list[Manifest]:
    found, params = [], {"limit": "500"}
    while True:
        page = await client.list(RESOURCES, SPACE, **params)
        found += page["items"]
        if not (token := page["metadata"].get("continue")):
            return found
        params["continue"] = token


def complaints_about_jobs(
    traffic: Traffic, record: JobRecord, resources: list[Manifest]
) -> Iterator[str]:
    """What must not be: a video lost, or made twice."""
    yield from record.complaints
    names = {video.uid: video.name for video in traffic.made.values()}
    requests: dict[str, int] = defaultdict(int)
    for (owner, request), jobs in record.jobs_of.items():
        name = names.get(owner, owner)
        requests[name] += 1
        if len(jobs) != 1:
            yield f"{name}: request {request} had {len(jobs)} Jobs"
        for job in jobs:
            if len(record.pods_of[job]) > 1:
                yield f"{name}: request {request} had {len(record.pods_of[job])} pods"
    for video in traffic.made.values():
        if requests[video.name] != video.requests:
            yield f"{video.name}: Jobs for {requests[video.name]} of {video.requests} requests"
    found = {each["metadata"]["name"] for each in resources}
    yield from (f"{name} is gone" for name in traffic.made.keys() - found)
    for each in resources:
        name, status = each["metadata"]["name"], each.get("status", {})
        if status.get("phase") != "Succeeded":
            yield f"{name} is {status.get('phase')}: {status.get('message')}"
        elif status.get("attemptCount") != 1:
            yield f"{name} took {status.get('attemptCount')} attempts"


def show(failovers: list[Failover]) -> None:
    head = ("", "fault", "lease", "first write", "limit", "old one gone", "late", "refused")
    lines = [head]
    for each in failovers:
        gone = "never" if each.ended is None else f"{each.ended:.1f} s"
        lines.append(
            (
                str(each.number),
                each.fault.name,
                f"{each.took_lease:.1f} s",
                f"{each.wrote:.1f} s",
                f"{each.fault.limit_seconds:.0f} s",
                gone,
                str(len(each.late)),
                str(len(each.refused)),
            )
        )
    for line in lines:
        print("{:>3} {:<18}{:>9}{:>13}{:>8}{:>14}{:>6}{:>9}".format(*line))
    for each in failovers:
        for request in each.late + each.refused:
            after = request.time - each.began
            what = f"{request.verb} {request.resource} {request.name}"
            print(f"{each.number}: {what}, {after:.1f} s after the kill: {request.status}")


async def measure(options: argparse.Namespace, cluster: OneNodeCluster, folder: Path) -> int:
    config = folder / "operator.yaml"
    jobs = {"ttlSecondsAfterFinished": TTL_SECONDS}
    config.write_text(configuration(SPACE, PORT, jobs=jobs))
    audit = AuditLog(AUDIT_LOG)
    record = JobRecord()
    failovers: list[Failover] = []
    with networks(cluster.kubeconfig, config, PORT, folder) as launch:
        async with connected(cluster.kubeconfig) as client:
            duel = Duel(client, launch, audit)
            lease = asyncio.create_task(duel.watch_lease())
            traffic = Traffic(client, options.videos, record)
            async with traffic.moving():
                for number in range(options.kills):
                    fault = FAULTS[number % len(FAULTS)]
                    failovers.append(await duel.fail_over(number + 1, fault))
                    say(f"{number + 1}/{options.kills} {fault.name}: {failovers[-1].seconds:.1f} s")
                await traffic.drain()
                resources = await every_resource(client)
            lease.cancel()
    audit.read()
    for failover in failovers:
        duel.look_back(failover)
    show(failovers)
    edits = sum(video.requests - 1 for video in traffic.made.values())
    uids = sum(len(jobs) for jobs in record.jobs_of.values())
    made = len(traffic.made)
    print(f"{made} resources, {edits} edits, {uids} Jobs, {len(record.pods_of)} of them with pods")
    about_time = [complaint for each in failovers for complaint in each.complaints()]
    about_jobs = list(complaints_about_jobs(traffic, record, resources))
    for complaint in about_time + duel.unasked + about_jobs:
        print(complaint)
    print("FAILED" if about_jobs or about_time else "all as it must be")
    return 1 if about_jobs or about_time else 0


def say(step: str) -> None:
    print(f"… {step}", file=sys.stderr, flush=True)


@contextmanager
def logs(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="of the leader (20)")
    parser.add_argument("--videos", type=int, default=50, help="always on their way (50)")
    parser.add_argument("--logs", type=Path, help="a folder that keeps the operators' logs")
    options = parser.parse_args()
    clean_up_when_terminated()
    cluster = free_cluster()
    with (
        logs(options.logs) as folder,
        installed_crds(cluster),
        simulated_nodes(
            cluster, 2, start_seconds=0.5, run_seconds=None, message=RESULT.json_line()
        ),
        namespace(cluster, SPACE),
    ):
        return asyncio.run(measure(options, cluster, folder))


if __name__ == "__main__":
    sys.exit(main())

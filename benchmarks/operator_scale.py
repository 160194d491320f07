"""What the operator costs for many videos: time, CPU, requests, memory; at rest; after a restart.

On the tests' cluster (python tests/cluster/harness up) with simulated nodes, whose pods start after
a second, run for one, and leave a real result. The floor is the same number of Jobs with nobody
behind them. The operator is a process beside the cluster. On a busy machine compare ratios only.

    python benchmarks/operator_scale.py --size small
    python benchmarks/operator_scale.py --count 3000 --finished 10000 --running 500 --json out.json
"""

import argparse
import asyncio
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from operator_process import OperatorProcess, busy_seconds, configuration, cpu_seconds
from simulated_cluster import (
    RESULT,
    ROOT,
    RUN_SECONDS,
    Manifest,
    OneNodeCluster,
    a_video,
    at_a_time,
    clean_up_when_terminated,
    connected,
    events,
    free_cluster,
    installed_crds,
    namespace,
    position,
    simulated_nodes,
)
from t2v_api.resource import TextToVideoJob
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import JOBS, RESOURCES, Kind
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.core.job import build_job
from t2v_operator.core.names import JOB_LABEL, RECORD_ANNOTATION, job_name_of, stable_id
from t2v_operator.core.request import resolve

SIZES = {"small": 60, "medium": 300, "large": 3000}
OPERATOR = "operator"
SPACE, FLOOR_SPACE = "bench-operator", "bench-floor"
PORT = 18080
START_SECONDS = RUNS_SECONDS = 1.0
FOREVER = {"podTemplatePatch": {"metadata": {"annotations": {RUN_SECONDS: "forever"}}}}
"""Pods that never end."""


@dataclass
class Rest:
    """Nothing changes."""

    seconds: float
    calls: dict[str, int]


@dataclass
class Restart:
    """After SIGKILL. Seconds since the new process's start."""

    finished: int
    """Resources; the Jobs and pods of `with_jobs` of them are still there."""
    with_jobs: int
    running: int
    ready: float
    leads: float
    """Includes what was left of the lease that the killed one held."""
    looked_at_all: float
    cpu: float
    peak_mib: float
    resident_mib: float
    calls: dict[str, int]
    calls_at_rest: dict[str, int]
    """In `--rest` seconds after that."""


@dataclass
class Round:
    """The same number of bare Jobs and of resources, one after the other."""

    floor: float = 0.0
    """Seconds until all Jobs are complete."""
    operator: float = 0.0
    """Seconds until all resources have succeeded."""
    cpu_ms: float = 0.0
    """Of the operator, for each resource."""
    calls: dict[str, float] = field(default_factory=dict)
    """For each resource, without watches and leases."""
    peak_mib: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each program while the operator worked; `others`: what is no part of this."""
    trailing: float = 0.0
    """Seconds after the last one's end until the last record and Event are written."""
    loop_ms: float = 0.0
    """CPU time of a fixed piece of work: what this machine's cores are worth just now."""

    @property
    def ratio(self) -> float:
        return self.operator / self.floor if self.floor else 0.0


@dataclass
class Report:
    """All figures."""

    count: int
    concurrency: int
    commit: str
    load_before: float
    rounds: list[Round] = field(default_factory=list)
    rest: Rest | None = None
    restart: Restart | None = None
    unsuccessful: list[str] = field(default_factory=list)


class Bench:
    """The steps of one run; each adds its figures to the report."""

    def __init__(
        self,
        client: Client,
        cluster: OneNodeCluster,
        options: argparse.Namespace,
        folder: Path,
        report: Report,
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._options = options
        self._folder = folder
        self._report = report
        self._starts = 0
        self._operator: OperatorProcess | None = None

    @property
    def operator(self) -> OperatorProcess:
        assert self._operator
        return self._operator

    async def run_floor(self) -> float:
        """As many Jobs of the same kind, which nobody looks after."""
        config = load_config(self._config("floor"))
        jobs = [_bare_job(number, config) for number in range(self._options.count)]
        seconds, _ = await self._until_all(JOBS, FLOOR_SPACE, jobs, _job_end)
        return seconds

    async def run_operator(self, figures: Round) -> None:
        """The resources, from the first one's creation until the last one's end."""
        await self.start()
        count = self._options.count
        names = [f"video-{number}" for number in range(count)]
        videos = [a_video(name, SPACE, seed=number) for number, name in enumerate(names)]
        figures.loop_ms = _loop_ms()
        before, calls = self._cpu(), self.operator.calls()
        figures.operator, ends = await self._until_all(RESOURCES, SPACE, videos, _video_end)
        at_end = self._cpu()
        figures.trailing = await self.operator.settle()
        made = self.operator.calls() - calls
        figures.cpu = {name: seconds - before[name] for name, seconds in at_end.items()}
        figures.cpu_ms = 1000 * (self.operator.cpu_seconds() - before[OPERATOR]) / count
        figures.calls = {what: number / count for what, number in made.most_common()}
        figures.peak_mib = self.operator.peak_mib()
        self._report.unsuccessful += [name for name in names if ends.get(name) != "Succeeded"]

    async def rest(self) -> None:
        before = self.operator.calls()
        await asyncio.sleep(self._options.rest)
        self._report.rest = Rest(self._options.rest, dict(self.operator.calls() - before))

    async def restart(self) -> None:
        """Kill it and start it again, with what `--finished` and `--running` say in the cluster."""
        options = self._options
        pattern = await self._client.get(RESOURCES, SPACE, "video-0")
        assert pattern
        if options.running:
            self.operator.end()
            await self.start(**FOREVER)
            await self._run_for_ever(options.running)
        await self.operator.settle()
        self.operator.kill()
        finished = max(options.finished or 0, options.count)
        made_up = finished - options.count
        with_jobs = round(made_up * options.jobs_share)
        await self._make_up(pattern, made_up, with_jobs)
        began = self._launch()
        ready = await began.wait_until(began.is_ready, "ready", 300)
        leads = await began.wait_until(began.leads, "leading", 300)
        everything = finished + options.running
        looked = await began.wait_until(lambda: began.has_looked_at(everything), "done", 600)
        calls, cpu = began.calls(), began.cpu_seconds()
        await asyncio.sleep(5)
        settled = began.calls()
        await asyncio.sleep(options.rest)
        self._report.restart = Restart(
            finished=finished,
            with_jobs=options.count + with_jobs,
            running=options.running,
            ready=ready,
            leads=leads,
            looked_at_all=looked,
            cpu=cpu,
            peak_mib=began.peak_mib(),
            resident_mib=began.resident_mib(),
            calls=dict(calls),
            calls_at_rest=dict(began.calls() - settled),
        )

    async def start(self, **config: Any) -> None:
        """Start the operator and wait until it leads and is idle."""
        operator = self._launch(**config)
        await operator.wait_until(operator.leads, "leading", every=0.5)
        await operator.settle()

    def stop(self) -> None:
        if self._operator:
            self._operator.kill()

    def _launch(self, **config: Any) -> OperatorProcess:
        self._starts += 1
        file = self._config(f"operator-{self._starts}", **config)
        self._operator = OperatorProcess(
            file,
            self._cluster.kubeconfig,
            self._folder / f"operator-{self._starts}.log",
            f"http://127.0.0.1:{PORT}",
            command=self._options.command,
        )
        return self._operator

    def _config(self, name: str, **more: Any) -> Path:
        file = self._folder / f"{name}.yaml"
        file.write_text(configuration(SPACE, PORT, **more))
        return file

    def _cpu(self) -> dict[str, float]:
        """CPU seconds so far of everything that takes part, and of what does not."""
        pids = {OPERATOR: self.operator.pid, "this script": os.getpid()}
        daemons = self._cluster.daemons
        for name in daemons.names():
            pids[name] = int((daemons.folder / f"{name}.pid").read_text().split()[0])
        seconds = {name: cpu_seconds(pid) for name, pid in pids.items()}
        return seconds | {"others": busy_seconds() - sum(seconds.values())}

    async def _until_all(
        self,
        kind: Kind,
        space: str,
        manifests: list[Manifest],
        end: Callable[[Manifest], str | None],
    ) -> tuple[float, dict[str, str]]:
        """Create all, wait until each has ended. Seconds, and the end of each by name."""
        ends: dict[str, str] = {}
        start = await position(self._client, kind, space)

        async def watch() -> float:
            async for what, found in events(self._client, kind, space, start):
                came_to = end(found)
                if what != "DELETED" and came_to:
                    ends[found["metadata"]["name"]] = came_to
                if len(ends) == len(manifests):
                    return time.monotonic()
            raise AssertionError("a watch goes on for ever")

        watching = asyncio.create_task(watch())
        began = time.monotonic()
        await self._create(kind, space, manifests)
        try:
            async with asyncio.timeout(60 + len(manifests)):
                return await watching - began, ends
        except TimeoutError:
            return time.monotonic() - began, ends

    async def _create(self, kind: Kind, space: str, manifests: list[Manifest]) -> None:
        def creation(manifest: Manifest) -> Callable[[], Awaitable[Any]]:
            return lambda: self._client.create(kind, space, manifest)

        await at_a_time(self._options.concurrency, map(creation, manifests))

    async def _run_for_ever(self, count: int) -> None:
        videos = [a_video(f"running-{number}", SPACE, seed=number) for number in range(count)]
        await self._until_all(RESOURCES, SPACE, videos, _video_runs)

    async def _make_up(self, pattern: Manifest, count: int, with_jobs: int) -> None:
        """Finished resources as the operator leaves them; some with the Job that made them."""
        names = [f"made-up-{number}" for number in range(count)]
        uids: dict[str, str] = {}

        async def make(name: str) -> None:
            document, status = _made_up(pattern, name)
            answer = await self._client.create(RESOURCES, SPACE, document)
            metadata = answer["metadata"]
            uids[name] = metadata["uid"]
            status |= {"id": stable_id(metadata["uid"])}
            document |= {"metadata": metadata, "status": status}
            await self._client.replace(
                RESOURCES,
                SPACE,
                f"{name}/status",
                document | {"metadata": metadata, "status": status},
            )

        width = self._options.concurrency
        await at_a_time(width, ((lambda name=name: make(name)) for name in names))
        if not with_jobs:
            return
        job = await self._client.get(JOBS, SPACE, pattern["status"]["jobName"])
        assert job
        request = pattern["status"]["requestHash"]
        jobs = [_job_of(job, name, uids[name], request) for name in names[:with_jobs]]
        await self._until_all(JOBS, SPACE, jobs, _job_end)


def _bare_job(number: int, config: OperatorConfig) -> Manifest:
    document = a_video(f"video-{number}", FLOOR_SPACE, seed=number)
    document["metadata"]["uid"] = str(number)
    job = build_job(resolve(TextToVideoJob.parse(document), config), config)
    del job["metadata"]["ownerReferences"]
    return job


def _made_up(pattern: Manifest, name: str) -> tuple[Manifest, Manifest]:
    """A finished resource like `pattern`, without and with its status."""
    old = pattern["metadata"]["name"]
    record = json.loads(pattern["metadata"]["annotations"][RECORD_ANNOTATION])
    assert record["name"] == old
    annotation = json.dumps(record | {"name": name}, separators=(",", ":"))
    document = a_video(name, SPACE)
    document["spec"] = pattern["spec"]
    document["metadata"]["annotations"] = {RECORD_ANNOTATION: annotation}
    status = copy.deepcopy(pattern["status"])
    status["jobName"] = job_name_of(name, status["requestHash"])
    return document, status


def _job_of(pattern: Manifest, name: str, uid: str, request: str) -> Manifest:
    """A Job like `pattern`, of the resource `name`."""
    metadata, spec = copy.deepcopy(pattern["metadata"]), copy.deepcopy(pattern["spec"])
    owner = metadata["ownerReferences"][0] | {"name": name, "uid": uid}
    template = spec["template"]["metadata"]
    for labels in (metadata["labels"], template["labels"]):
        for given in [each for each in labels if each.endswith(("controller-uid", "job-name"))]:
            del labels[given]
        labels[JOB_LABEL] = name
    del spec["selector"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name_of(name, request),
            "namespace": SPACE,
            "labels": metadata["labels"],
            "annotations": metadata["annotations"],
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _job_end(job: Manifest) -> str | None:
    conditions = job.get("status", {}).get("conditions", ())
    types = {each["type"] for each in conditions if each["status"] == "True"}
    return next((each for each in ("Complete", "Failed") if each in types), None)


def _video_end(video: Manifest) -> str | None:
    phase = video.get("status", {}).get("phase")
    return phase if phase in ("Succeeded", "Failed") else None


def _video_runs(video: Manifest) -> str | None:
    phase = video.get("status", {}).get("phase")
    return phase if phase not in (None, "Pending", "Queued") else None


def _loop_ms() -> float:
    began = time.process_time()
    sum(number * number for number in range(1_000_000))
    return 1000 * (time.process_time() - began)


def _commit() -> str:
    """What was measured, as far as git tells."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "operator", "api"], capture_output=True, text=True
    )
    return head.stdout.strip() + (" and changes" if changed.stdout else "")


async def measure(options: argparse.Namespace, cluster: OneNodeCluster, folder: Path) -> Report:
    """The rounds; then, with what the last one left, at rest and after a restart."""
    report = Report(options.count, options.concurrency, _commit(), os.getloadavg()[0])
    async with connected(cluster.kubeconfig) as client:
        bench = Bench(client, cluster, options, folder, report)
        for number in range(options.rounds):
            figures = Round()
            report.rounds.append(figures)
            if options.floor:
                with namespace(cluster, FLOOR_SPACE):
                    say(f"floor, round {number + 1}")
                    figures.floor = await bench.run_floor()
            with namespace(cluster, SPACE):
                try:
                    say(f"operator, round {number + 1}")
                    await bench.run_operator(figures)
                    if number + 1 == options.rounds:
                        await after_the_last(options, bench)
                finally:
                    bench.stop()
                    say("clean up")
    return report


async def after_the_last(options: argparse.Namespace, bench: Bench) -> None:
    if options.rest:
        say("at rest")
        await bench.rest()
    if options.restart:
        say("restart")
        await bench.restart()


def say(step: str) -> None:
    print(f"… {step}", file=sys.stderr, flush=True)


def show(report: Report) -> None:
    """The plain table: medians of the rounds, and of each round's ratio."""
    rounds = report.rounds
    calls, cpu = rounds[-1].calls, rounds[-1].cpu
    print(f"{report.count} resources, {report.concurrency} created at a time; {report.commit};")
    print(f"{os.cpu_count()} cores, load average before: {report.load_before:.2f}")

    def middle(figure: Callable[[Round], float]) -> float:
        return median(map(figure, rounds))

    rows: list[tuple[str, str]] = [
        ("bare Jobs until all are complete", f"{middle(lambda r: r.floor):.1f} s"),
        ("with the operator until all have succeeded", f"{middle(lambda r: r.operator):.1f} s"),
        ("ratio", f"{middle(lambda r: r.ratio):.2f}"),
        ("then until all records and Events are written", f"{middle(lambda r: r.trailing):.1f} s"),
        ("operator: CPU each", f"{middle(lambda r: r.cpu_ms):.1f} ms"),
        ("operator: peak RSS", f"{middle(lambda r: r.peak_mib):.0f} MiB"),
        ("operator: API calls each", f"{sum(calls.values()):.2f}"),
        *((f"  {what}", f"{number:.2f}") for what, number in calls.items()),
        *_rest_rows(report.rest),
        *_restart_rows(report.restart),
        *((f"CPU of {name} meanwhile", f"{s:.1f} s") for name, s in _most(cpu)),
        ("CPU of a loop of a million", f"{middle(lambda r: r.loop_ms):.0f} ms"),
    ]
    for what, figure in rows:
        print(f"{what:<52}{figure:>12}")
    if len(rounds) > 1:
        each = (f"{r.operator:.1f}/{r.floor:.1f} = {r.ratio:.2f}" for r in rounds)
        print(f"rounds: {', '.join(each)}")
    for name in report.unsuccessful:
        print(f"not Succeeded: {name}")


def _rest_rows(rest: Rest | None) -> Iterator[tuple[str, str]]:
    if rest is None:
        return
    yield f"at rest for {rest.seconds:.0f} s: API calls", str(sum(rest.calls.values()))
    yield from ((f"  {what}", str(number)) for what, number in rest.calls.items())


def _restart_rows(restart: Restart | None) -> Iterator[tuple[str, str]]:
    if restart is None:
        return
    there = (
        f"{restart.finished} finished ({restart.with_jobs} with Jobs), {restart.running} running"
    )
    yield f"restart: {there}", ""
    yield "  ready after", f"{restart.ready:.1f} s"
    yield "  leads after", f"{restart.leads:.1f} s"
    yield "  has looked at all after", f"{restart.looked_at_all:.1f} s"
    yield "  CPU", f"{restart.cpu:.1f} s"
    yield "  peak RSS", f"{restart.peak_mib:.0f} MiB"
    yield "  RSS then", f"{restart.resident_mib:.0f} MiB"
    yield "  API calls", str(sum(restart.calls.values()))
    yield from ((f"    {what}", str(number)) for what, number in restart.calls.items())
    yield "  at rest after that: API calls", str(sum(restart.calls_at_rest.values()))


def _most(seconds: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda each: -each[1])[:8]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", choices=SIZES, default="medium", help="of --count (medium: 300)")
    parser.add_argument("--count", type=int, help="resources")
    parser.add_argument("--concurrency", type=int, default=16, help="creations at a time (16)")
    parser.add_argument("--nodes", type=int, default=2, help="simulated nodes (2)")
    parser.add_argument("--rounds", type=int, default=1, help="of floor and operator (1)")
    parser.add_argument("--rest", type=float, default=60, help="seconds at rest (60; 0: none)")
    parser.add_argument("--finished", type=int, help="finished ones at the restart (--count)")
    parser.add_argument(
        "--jobs-share", type=float, default=0.0, help="of those made up, still with their Job (0)"
    )
    parser.add_argument("--running", type=int, default=0, help="running ones at the restart (0)")
    parser.add_argument("--no-floor", dest="floor", action="store_false")
    parser.add_argument("--no-restart", dest="restart", action="store_false")
    parser.add_argument("--json", metavar="FILE", help="write the figures there; -: print them")
    parser.add_argument("--logs", type=Path, help="a folder that keeps the operator's logs")
    parser.add_argument(
        "--command",
        type=str.split,
        default=[sys.executable, "-m", "t2v_operator"],
        help="another command instead of `python -m t2v_operator`, such as a profiler's",
    )
    options = parser.parse_args()
    options.count = options.count or SIZES[options.size]
    return options


@contextmanager
def logs(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def main() -> int:
    options = parse()
    clean_up_when_terminated()
    cluster = free_cluster()
    message = RESULT.json_line()
    with (
        logs(options.logs) as folder,
        installed_crds(cluster),
        simulated_nodes(
            cluster,
            options.nodes,
            start_seconds=START_SECONDS,
            run_seconds=RUNS_SECONDS,
            message=message,
        ),
    ):
        report = asyncio.run(measure(options, cluster, folder))
    figures = json.dumps(asdict(report), indent=1)
    if options.json and options.json != "-":
        Path(options.json).write_text(f"{figures}\n")
    if options.json == "-":
        print(figures)
    else:
        show(report)
    return 1 if report.unsuccessful else 0


if __name__ == "__main__":
    sys.exit(main())

"""Which of several GPU pools a video waits the shortest in. Pure; knows no cluster.

The wait that is expected in a pool is its work, queued and running, in GPU-seconds over its GPUs.
`Tally` follows that work change by change, so that asking costs the same however many videos there
are. Which pools come into question is `core/pools.py`'s.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from t2v_api.progress import Progress, Stage
from t2v_api.resource import Estimate

from t2v_operator.config import GpuPool
from t2v_operator.core.observed import ObservedJob
from t2v_operator.core.request import ResolvedJob

Key = tuple[str, str]
"""Namespace and name of a resource."""
Load = Mapping[str, float]
"""GPU-seconds of work by the name of a pool; a pool that is not named has none."""

UNKNOWN_SECONDS = 300.0
"""What a video counts as before any video was made: of two pools the one with fewer is chosen."""
MOST_SECONDS = 24 * 3600.0
"""What a Job says of itself can be forged by whoever may make Jobs: it counts as no more."""
MOST_GPUS = 1024
LATE_SHARE = 10
"""A run that takes longer than expected counts as this part of what was expected."""


@dataclass(frozen=True, slots=True)
class Work:
    """A video that is to be made in a pool, or is being made."""

    pool: str
    model: str
    gpus: int
    seconds: float | None
    """From the runner's start to the video; None where no video was made that tells it."""
    started: datetime | None = None
    """None: it is queued."""
    ends: datetime | None = None
    """As the runner itself says; None before it does."""


def work_of(job: ObservedJob) -> Work | None:
    """What a Job adds to its pool; None where it ended, is held, or needs no GPU.

    One that a queue holds waits for its turn, so it counts.
    """
    plan = job.plan_text
    if plan is None or job.is_finished or job.is_being_deleted:
        return None
    if job.suspended and (not job.queue or job.applied.get("suspend")):
        return None
    gpus = min(plan.gpus, MOST_GPUS)
    return Work(plan.pool, job.model, gpus, plan.expected_seconds) if gpus > 0 else None


def work_in(job: ResolvedJob, expected: Estimate | None) -> Work | None:
    """What a job will add to the pool that it is placed in; None where it needs no GPU."""
    gpus, seconds = job.profile.resources.gpus, expected.seconds if expected else None
    return Work(job.pool.name, job.profile.id, gpus, seconds) if gpus else None


def begun(work: Work, started: datetime, progress: Progress | None) -> Work:
    """`work` once its pod runs, by the pod's latest report."""
    # While a model is downloaded the runner tells the end of that alone.
    tells = progress is not None and progress.stage is not Stage.DOWNLOAD
    if not tells or progress is None or progress.eta_seconds is None:
        return replace(work, started=started)
    told = progress.updated_time.timestamp() + min(progress.eta_seconds, MOST_SECONDS)
    # Its node's clock may be anywhere, and the ends of others hang on this one.
    took = min(max(told - started.timestamp(), 0.0), MOST_SECONDS)
    return replace(work, started=started, ends=started + timedelta(seconds=took))


def wait_seconds(pool: GpuPool, load: Load) -> float:
    """How long a video is expected to wait in the pool. Of unknown size, it has one GPU."""
    return load.get(pool.name, 0.0) / (pool.gpus or 1)


def shortest_wait(pools: Sequence[GpuPool], load: Load) -> GpuPool:
    """Of equal ones the first."""
    return min(pools, key=lambda pool: wait_seconds(pool, load))


class Tally:
    """The work of every pool, as far as it is known at any time.

    A resource counts once: by what its Job shows, or by what was just decided of it.
    """

    def __init__(self, usual_seconds: Callable[[str], float | None]) -> None:
        """`usual_seconds`: what a video of a model takes of which nothing else is known."""
        self._usual_seconds = usual_seconds
        self._seen: dict[Key, Work] = {}
        self._promised: dict[Key, Work] = {}
        self._pools: defaultdict[str, _Pool] = defaultdict(_Pool)

    def see(self, key: Key, work: Work | None) -> None:
        """A resource's Job shows this; None: it has none that counts."""
        before = self._of(key)
        if work is None:
            self._seen.pop(key, None)
        else:
            self._seen[key] = work
            promised = self._promised.get(key)
            if promised and promised.pool == work.pool:
                del self._promised[key]
        self._count(key, before)

    def promise(self, key: Key, work: Work) -> None:
        """Decided, and not to be seen yet. It counts in the place of what the Job shows.

        Until `see` shows a Job in that pool, or `withdraw`.
        """
        before = self._of(key)
        self._promised[key] = work
        self._count(key, before)

    def withdraw(self, key: Key) -> None:
        """What was promised does not come, or is there."""
        before = self._of(key)
        self._promised.pop(key, None)
        self._count(key, before)

    def load(self, now: datetime, but: Key | None = None) -> dict[str, float]:
        """The work of each pool, without that of one resource which is not running."""
        load = {
            name: pool.milliseconds(now, self._milliseconds) for name, pool in self._pools.items()
        }
        own = self._of(but) if but else None
        if own and own.started is None:
            load[own.pool] -= own.gpus * self._milliseconds(own)
        return {name: milliseconds / 1000 for name, milliseconds in load.items()}

    def _of(self, key: Key) -> Work | None:
        return self._promised.get(key) or self._seen.get(key)

    def _count(self, key: Key, before: Work | None) -> None:
        after = self._of(key)
        if before == after:
            return
        if before:
            self._pools[before.pool].remove(key, before)
        if after:
            self._pools[after.pool].add(key, after, self._milliseconds(after))

    def _milliseconds(self, work: Work) -> int:
        """Whole ones: what is added and taken away again leaves nothing."""
        seconds = self._usual_seconds(work.model) if work.seconds is None else work.seconds
        return round(1000 * min(UNKNOWN_SECONDS if seconds is None else seconds, MOST_SECONDS))


class _Pool:
    """The sums of one pool."""

    def __init__(self) -> None:
        self._queued = 0
        """GPU-milliseconds whose length is known."""
        self._unmeasured: Counter[str] = Counter()
        """GPUs that are waited for by videos of a length that is not, by model."""
        self._running = _Running()

    def add(self, key: Key, work: Work, milliseconds: int) -> None:
        if work.started is not None:
            self._running.add(key, work, milliseconds)
        elif work.seconds is None:
            self._unmeasured[work.model] += work.gpus
        else:
            self._queued += work.gpus * milliseconds

    def remove(self, key: Key, work: Work) -> None:
        if work.started is not None:
            self._running.remove(key)
        elif work.seconds is None:
            self._unmeasured[work.model] -= work.gpus
            if not self._unmeasured[work.model]:
                del self._unmeasured[work.model]
        else:
            self._queued -= work.gpus * round(1000 * min(work.seconds, MOST_SECONDS))

    def milliseconds(self, now: datetime, of: Callable[[Work], int]) -> int:
        unmeasured = sum(
            gpus * of(Work("", model, gpus, None)) for model, gpus in self._unmeasured.items()
        )
        return self._queued + unmeasured + self._running.left(now)


@dataclass(frozen=True, slots=True)
class _Run:
    end: int
    """In milliseconds since 1970, as all times here."""
    gpus: int
    late: int
    """GPU-milliseconds that it counts as after its end."""


class _Running:
    """What is left of runs: the sum of their ends, less as many times the present.

    The heap finds those whose expected end has passed.
    """

    def __init__(self) -> None:
        self._runs: dict[Key, _Run] = {}
        self._late: set[Key] = set()
        self._ends: list[tuple[int, Key]] = []
        self._end_sum = self._gpus = self._late_sum = 0

    def add(self, key: Key, work: Work, milliseconds: int) -> None:
        assert work.started
        end = round(1000 * work.ends.timestamp()) if work.ends else 0
        run = _Run(
            end=end or round(1000 * work.started.timestamp()) + milliseconds,
            gpus=work.gpus,
            late=work.gpus * milliseconds // LATE_SHARE,
        )
        self._runs[key] = run
        self._end_sum += run.gpus * run.end
        self._gpus += run.gpus
        heapq.heappush(self._ends, (run.end, key))
        if len(self._ends) > 2 * len(self._runs) + 64:
            # Runs that ended, or told another end, leave entries behind.
            timely = ((each.end, k) for k, each in self._runs.items() if k not in self._late)
            self._ends = list(timely)
            heapq.heapify(self._ends)

    def remove(self, key: Key) -> None:
        run = self._runs.pop(key)
        if key in self._late:
            self._late.remove(key)
            self._late_sum -= run.late
        else:
            self._end_sum -= run.gpus * run.end
            self._gpus -= run.gpus

    def left(self, now: datetime) -> int:
        time = round(1000 * now.timestamp())
        while self._ends and self._ends[0][0] <= time:
            end, key = heapq.heappop(self._ends)
            run = self._runs.get(key)
            if run is None or run.end != end or key in self._late:
                continue
            self._late.add(key)
            self._late_sum += run.late
            self._end_sum -= run.gpus * run.end
            self._gpus -= run.gpus
        # A look may be a moment behind another one.
        return max(0, self._end_sum - self._gpus * time) + self._late_sum

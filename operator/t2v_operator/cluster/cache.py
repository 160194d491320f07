"""Everything that is known of the cluster, from watches: what looks are made of.

Knows which objects belong to which resource, and says which resource has news.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from t2v_api.progress import Progress
from t2v_api.reasons import Waiting
from t2v_api.resource import KIND

from t2v_operator.cluster.by_model import ByModel
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES, WORKLOADS, Kind
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.store import Key, Manifest, Store
from t2v_operator.core.attempts import KEPT_ATTEMPTS
from t2v_operator.core.balancing import Tally, Work, begun, work_of
from t2v_operator.core.earlier_runs import EarlierRuns
from t2v_operator.core.estimates.forecasts import Forecasts
from t2v_operator.core.estimates.line import InLine
from t2v_operator.core.estimates.told import is_news
from t2v_operator.core.estimates.turns import priority_of, turn_of
from t2v_operator.core.models.missing import Missed, missed_by
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.names import JOB_LABEL
from t2v_operator.core.observe import (
    observe_job,
    observe_pod,
    observe_resource,
    observe_workload,
    settled,
)
from t2v_operator.core.observed import (
    Observed,
    ObservedJob,
    ObservedPod,
    ObservedResource,
    ObservedWorkload,
    Settled,
    running_pod,
)
from t2v_operator.core.status import reason_of

Uid = tuple[str, str]
"""A Job's namespace and uid: what another namespace says of a Job is not believed."""


class News(Protocol):
    """Told the namespace and name of a resource that is worth a look."""

    def __call__(self, key: Key, more_follows: bool = False) -> None:
        """`more_follows`: there is more to see in a moment, and this can wait for it."""


class Cache:
    """The resources, their Jobs, these Jobs' pods and Workloads."""

    def __init__(
        self,
        client: Client,
        namespaces: Sequence[str],
        with_workloads: bool,
        news: News,
        models: Mapping[str, ObservedModel] = MappingProxyType({}),
        model_news: Callable[[str], None] = lambda _: None,
        gpus: Mapping[str, int | None] = MappingProxyType({}),
        job_over: Callable[[Key, ObservedJob], None] = lambda *_: None,
    ) -> None:
        """`models`: every VideoModel by its name, as it is known at any time.

        `model_news` is told the name of a model that a Job begins or ceases to draw with;
        `job_over`, of a resource's Job that is complete by now, or gone.
        `gpus`: how many each pool has, where that is known.
        """
        self._news = news
        self._models = models
        self._model_news = model_news
        self._job_over = job_over
        self.resources: Store[ObservedResource | Settled] = Store(
            self._keep_resource, self._index_resource, lambda key, *_: news(key)
        )
        self._unfinished_of = ByModel()
        self._users_of = ByModel()
        self._missed: dict[Key, Missed] = {}
        """By the unfinished videos whose pods looked for their model in vain."""
        self._moving: set[Key] = set()
        """The resources whose Job is being removed, to be made anew in a larger pool."""
        self._earlier_runs = EarlierRuns()
        self.tally = Tally(self._earlier_runs.usual_seconds)
        """The work of each pool; what the Jobs and pods show of it is taken in here."""
        self.forecasts = Forecasts(
            self._expected_seconds, lambda each: self._earlier_runs.usual_seconds(each.model), gpus
        )
        """When each video is expected to begin and to be finished, by the same."""
        self.jobs: Store[ObservedJob] = Store(observe_job, self._index_job, self._job_news)
        self.pods: Store[ObservedPod] = Store(observe_pod, self._index_pod, self._pod_news)
        self.workloads: Store[ObservedWorkload] = Store(
            observe_workload, self._index_workload, self._workload_news
        )
        self._jobs_of: dict[Key, set[str]] = defaultdict(set)
        self._resource_of: dict[Uid, Key] = {}
        self._made_by: defaultdict[tuple[str, str], set[Key]] = defaultdict(set)
        """By the namespace and place of a video: the Jobs that make it."""
        self._pods_of: dict[Uid, set[Key]] = defaultdict(set)
        self._gone_pods: dict[Uid, dict[str, ObservedPod]] = defaultdict(dict)
        self._workload_of: dict[Uid, Key] = {}
        self._progress: dict[Key, tuple[str, Progress]] = {}
        watched: list[tuple[Kind, Store[Any], str | None]] = [
            (RESOURCES, self.resources, None),
            (JOBS, self.jobs, JOB_LABEL),
            (PODS, self.pods, JOB_LABEL),
        ]
        if with_workloads:
            watched.append((WORKLOADS, self.workloads, None))
        self.stores = {kind: store for kind, store, _ in watched}
        self.reflectors = [
            Reflector(client, kind, scope, store, selector)
            for kind, store, selector in watched
            for scope in namespaces or (None,)
        ]
        self._needed = [each for each in self.reflectors if each.kind is not WORKLOADS]

    @property
    def is_full(self) -> bool:
        """Whether all that decisions rest on is there. Workloads only say why a Job waits."""
        return all(reflector.is_full for reflector in self._needed)

    def reflectors_of(self, *kinds: Kind) -> list[Reflector]:
        return [each for each in self.reflectors if each.kind in kinds]

    def missing_kinds(self) -> set[Kind]:
        """What of it is not there yet."""
        return {each.kind for each in self._needed if not each.is_full}

    async def wait_until_full(self) -> None:
        await asyncio.gather(*(each.wait_until_full() for each in self._needed))

    async def run(self) -> None:
        """Keep it in step with the API server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run())

    def age_seconds(self, kind: Kind) -> float:
        """Since when the API server has not said anything about the kind."""
        heard = (each.heard for each in self.reflectors if each.kind == kind)
        return time.monotonic() - min(heard)

    def resource_keys(self) -> list[Key]:
        """Every resource."""
        return [key for key, _ in self.resources.items()]

    def observe(self, key: Key, resource: ObservedResource, now: datetime) -> Observed:
        """What is known about the resource and its children."""
        job, earlier = self._jobs(key, resource)
        pods = self._pods(key[0], job) if job else ()
        spec = resource.spec
        waits = spec is not None and spec.load_balancer and running_pod(pods) is None
        return Observed(
            resource=resource,
            job=job,
            earlier_jobs=earlier,
            pods=pods,
            now=now,
            earlier_pods=tuple(pod for each in earlier for pod in self._pods(key[0], each)),
            workload=self._workload(key[0], job),
            progress=self._progress_of(key, pods),
            earlier_runs=self._earlier_runs.of(spec.model_id) if spec else (),
            models=self._models,
            times=self.forecasts.of(key, now),
            load=self.tally.load(now, but=key) if waits else {},
        )

    def those_whose_times_moved(self, now: datetime) -> list[Key]:
        """Since their statuses told them; of those at the head of each queue."""
        told = ((key, times, self.resources.get(key)) for key, times in self.forecasts.near(now))
        return [
            key
            for key, times, resource in told
            if isinstance(resource, ObservedResource) and is_news(resource.status, times, now)
        ]

    def unfinished_of(self, model: str) -> list[Key]:
        """The resources that name this model and have not come to their end."""
        return self._unfinished_of.of(model)

    def users_of(self, model: str) -> dict[Key, ObservedJob]:
        """The Jobs that draw with this model and have not ended."""
        found = ((key, self.jobs.get(key)) for key in self._users_of.of(model))
        return {key: job for key, job in found if job}

    def missed_of(self, model: str) -> list[Missed]:
        """What pods of this model's unfinished videos looked for in vain."""
        keys = set(self._unfinished_of.of(model)) if self._missed else set()
        return [missed for key, missed in self._missed.items() if key in keys]

    def jobs_of(self, key: Key) -> list[ObservedJob]:
        """Every Job of a resource of this name."""
        found = (self.jobs.get((key[0], name)) for name in self._jobs_of.get(key, ()))
        return [job for job in found if job]

    def with_gone_pods(
        self, namespace: str, job: ObservedJob, pods: Sequence[ObservedPod]
    ) -> tuple[ObservedPod, ...]:
        """`pods` and those that were seen to go: an evicted pod is gone before anyone can look."""
        there = {pod.name for pod in pods}
        seen = self._gone_pods.get((namespace, job.uid), {}).values()
        gone = (pod for pod in seen if pod.name not in there)
        return tuple(sorted((*pods, *gone), key=lambda pod: (pod.created, pod.name)))

    def makers_of(self, namespace: str, output_url: str) -> Iterator[tuple[Key, ObservedJob]]:
        """The Jobs of the namespace that make the video of this place, with their resources."""
        for key in self._made_by.get((namespace, output_url), ()):
            job = self.jobs.get(key)
            if job and (owner := _owner(key, job)):
                yield owner, job

    def moving_in(self, namespace: str) -> list[Key]:
        """The namespace's resources that are on their way to a larger pool, without a Job."""
        return [key for key in self._moving if key[0] == namespace]

    def owner_of(self, namespace: str, job_uid: str) -> Key | None:
        """The resource that the Job is of."""
        return self._resource_of.get((namespace, job_uid))

    def report(self, key: Key, pod: str, progress: Progress) -> None:
        """Take in what the runner in a pod says of its progress."""
        self._progress[key] = pod, progress
        self._weigh(key)
        self._news(key)

    def forget_progress(self, key: Key) -> None:
        self._progress.pop(key, None)

    def _keep_resource(self, document: Manifest) -> ObservedResource | Settled:
        record = settled(document)
        if record is None:
            return observe_resource(document)
        self._earlier_runs.take(document)
        return record

    def _index_resource(
        self,
        key: Key,
        before: ObservedResource | Settled | None,
        after: ObservedResource | Settled | None,
    ) -> None:
        wanted = _wanted_model(after)
        self._unfinished_of.move(key, _wanted_model(before), wanted)
        status = after.status if isinstance(after, ObservedResource) and wanted else None
        if reason_of(status) == Waiting.LARGER_POOL:
            self._moving.add(key)
        else:
            self._moving.discard(key)
        missed = missed_by(status)
        if missed is None:
            self._missed.pop(key, None)
        elif wanted and self._missed.get(key) != missed:
            self._missed[key] = missed
            self._model_news(wanted)

    def _jobs(
        self, key: Key, resource: ObservedResource
    ) -> tuple[ObservedJob | None, tuple[ObservedJob, ...]]:
        owned = [job for job in self.jobs_of(key) if job.owner_uid == resource.metadata.uid]
        earlier = tuple(job for job in owned if job.name != resource.job_name)
        return self.jobs.get((key[0], resource.job_name)), earlier

    def _progress_of(self, key: Key, pods: Sequence[ObservedPod]) -> Progress | None:
        """The running pod's own: an earlier run's says nothing of it."""
        name, progress = self._progress.get(key, ("", None))
        pod = running_pod(pods)
        return progress if pod and pod.name == name else None

    def _pods(self, namespace: str, job: ObservedJob) -> tuple[ObservedPod, ...]:
        """The Job's pods, the oldest first."""
        found = (self.pods.get(key) for key in self._pods_of.get((namespace, job.uid), ()))
        return self.with_gone_pods(namespace, job, [pod for pod in found if pod])

    def _workload(self, namespace: str, job: ObservedJob | None) -> ObservedWorkload | None:
        key = self._workload_of.get((namespace, job.uid)) if job else None
        return self.workloads.get(key) if key else None

    def _index_job(self, key: Key, before: ObservedJob | None, after: ObservedJob | None) -> None:
        self._index_place(key, before, after)
        used, uses = _used_model(before), _used_model(after)
        if self._users_of.move(key, used, uses):
            for model in filter(None, (used, uses)):
                self._model_news(model)
        for job in (before, after):
            if job is not None and (owner := _owner(key, job)):
                self._jobs_of[owner].add(job.name)
                self._resource_of[key[0], job.uid] = owner
        replaced = before if before and (after is None or after.uid != before.uid) else None
        if replaced is not None:
            self._resource_of.pop((key[0], replaced.uid), None)
            self._gone_pods.pop((key[0], replaced.uid), None)
        if after is None and before is not None and (owner := _owner(key, before)):
            names = self._jobs_of[owner]
            names.discard(before.name)
            if not names:
                del self._jobs_of[owner]
        for job in (before, after):
            if job is not None and (owner := _owner(key, job)):
                self._weigh(owner)

    def _weigh(self, owner: Key) -> None:
        """Count anew what the Job of a resource adds to its pool."""
        for job in self.jobs_of(owner):
            work = work_of(job)
            if work is None:
                continue
            pods = self._pods(owner[0], job)
            pod = running_pod(pods)
            if pod and pod.started:
                work = begun(work, pod.started, self._progress_of(owner, (pod,)))
            self.tally.see(owner, work)
            self.forecasts.see(owner, self._in_line(owner[0], job, work, pods))
            return
        self.tally.see(owner, None)
        self.forecasts.see(owner, None)

    def _in_line(
        self, namespace: str, job: ObservedJob, work: Work, pods: Sequence[ObservedPod]
    ) -> InLine | None:
        """Where the Job stands among those of its pool."""
        if job.created is None or job.plan_text is None:
            return None
        workload = self._workload(namespace, job)
        return InLine(
            pool=work.pool,
            model=work.model,
            gpus=work.gpus,
            shape=job.plan_text.shape,
            told_seconds=work.seconds,
            turn=turn_of(job, pods, workload),
            priority=priority_of(pods, workload),
            started=work.started,
            ends=work.ends,
        )

    def _expected_seconds(self, each: InLine) -> float | None:
        """By runs that are like it, as far as there are any; else as its Job says."""
        if each.shape is None:
            return each.told_seconds
        return self._earlier_runs.predicted(each.model, each.pool, each.shape) or each.told_seconds

    def _index_place(self, key: Key, before: ObservedJob | None, after: ObservedJob | None) -> None:
        """A Job that somebody holds makes nothing; one that waits in a queue will."""
        if before and before.plan_text:
            place = (key[0], before.plan_text.output_url)
            makers = self._made_by[place]
            makers.discard(key)
            if not makers:
                del self._made_by[place]
        if after is None or after.plan_text is None or after.is_finished or after.is_being_deleted:
            return
        if after.queue or not after.suspended:
            self._made_by[key[0], after.plan_text.output_url].add(key)

    def _job_news(self, key: Key, before: ObservedJob | None, after: ObservedJob | None) -> None:
        job = after or before
        if before != after and job and (owner := _owner(key, job)):
            self._news(owner, more_follows=after is not None and not after.is_finished)
        is_gone = before is not None and (after is None or after.uid != before.uid)
        over = before if is_gone else after
        is_over = is_gone or (after is not None and after.is_complete and before != after)
        if over and is_over and (owner := _owner(key, over)):
            self._job_over(owner, over)

    def _index_pod(self, key: Key, before: ObservedPod | None, after: ObservedPod | None) -> None:
        if after is not None:
            self._pods_of[key[0], after.job_uid].add(key)
        elif before is not None:
            uid = (key[0], before.job_uid)
            keys = self._pods_of[uid]
            keys.discard(key)
            if not keys:
                del self._pods_of[uid]
            if uid in self._resource_of and (before.started or before.loss or before.earlier_end):
                gone = self._gone_pods[uid]
                gone[before.name] = before.as_gone
                while len(gone) > KEPT_ATTEMPTS:
                    del gone[next(iter(gone))]
        pod = after or before
        changed = _seen(before) != _seen(after)
        if pod and changed and (owner := self._resource_of.get((key[0], pod.job_uid))):
            self._weigh(owner)

    def _pod_news(self, key: Key, before: ObservedPod | None, after: ObservedPod | None) -> None:
        pod = after or before
        if before != after and pod and (owner := self._resource_of.get((key[0], pod.job_uid))):
            self._news(owner, more_follows=True)

    def _index_workload(
        self, key: Key, before: ObservedWorkload | None, after: ObservedWorkload | None
    ) -> None:
        if after is not None:
            self._workload_of[key[0], after.job_uid] = key
        elif before is not None and self._workload_of.get((key[0], before.job_uid)) == key:
            del self._workload_of[key[0], before.job_uid]
        workload = after or before
        owner = self._resource_of.get((key[0], workload.job_uid)) if workload else None
        if owner and _standing(before) != _standing(after):
            self._weigh(owner)

    def _workload_news(
        self, key: Key, before: ObservedWorkload | None, after: ObservedWorkload | None
    ) -> None:
        workload = after or before
        owner = self._resource_of.get((key[0], workload.job_uid)) if workload else None
        if before != after and owner:
            self._news(owner)


def _seen(pod: ObservedPod | None) -> tuple[object, ...]:
    """What of a pod changes its place in the line."""
    if pod is None:
        return ()
    return pod.is_running, pod.is_over, pod.priority, pod.node, 0 if pod.node else pod.version


def _standing(workload: ObservedWorkload | None) -> tuple[object, ...]:
    """What of a Workload changes its place in the line."""
    return (workload.priority, workload.uid, workload.created) if workload else ()


def _owner(key: Key, job: ObservedJob) -> Key | None:
    """The resource that owns the Job."""
    kind, _, name = job.owner.partition(" ")
    return (key[0], name) if kind == KIND else None


def _wanted_model(resource: ObservedResource | Settled | None) -> str | None:
    """The model that a video is still to be drawn with."""
    if not isinstance(resource, ObservedResource) or resource.is_finished or resource.spec is None:
        return None
    return resource.spec.model_id


def _used_model(job: ObservedJob | None) -> str | None:
    """The model that a Job draws with, or will."""
    return job.model if job and job.model and not job.is_finished else None

"""What is known of VideoModels and of the Jobs that fetch them, from watches of their own.

Of nodes as well, where each has a cache of its own: nothing else needs to know them.

The neighbour that knows the videos' resources and Jobs is `cache`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from t2v_api.progress import Progress
from t2v_api.video_model import MODEL_KIND

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import JOBS, NODES, PODS, VIDEO_MODELS, Kind
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.store import Key, Scope, Store
from t2v_operator.config import OperatorConfig
from t2v_operator.core.models.nodes import ObservedNode, observe_node
from t2v_operator.core.models.observe import observe_model
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.names import PREFETCH_LABEL
from t2v_operator.core.observe import observe_job, observe_pod
from t2v_operator.core.observed import ObservedJob, ObservedPod

Told = Callable[[str], None]
"""Called with the name of a model."""


class ModelCache:
    """The VideoModels by name, their Jobs, these Jobs' pods."""

    def __init__(
        self, client: Client, namespace: str, config: OperatorConfig, news: Told, offered: Told
    ) -> None:
        """Jobs that fetch are in `namespace`.

        `news` is told what is worth a look, `offered` what videos may make of a model by now, by
        an own write as well.
        """
        self._news = news
        self._offered = offered
        self.by_name: dict[str, ObservedModel] = {}
        self.models: Store[ObservedModel] = Store(
            observe_model, self._index_model, lambda key, *_: news(key[1])
        )
        self.jobs: Store[ObservedJob] = Store(observe_job, _nothing, self._job_news)
        self.pods: Store[ObservedPod] = Store(observe_pod, _nothing, self._pod_news)
        self.nodes: Store[ObservedNode] = Store(observe_node, _nothing, self._node_news)
        self._reports: dict[str, Progress] = {}
        """Of pods that fetch, by their names."""
        watched: list[tuple[Kind, Store[Any], Scope, str | None]] = []
        if config.video_models:
            watched.append((VIDEO_MODELS, self.models, None, None))
        if config.video_models and config.model_cache.named:
            watched.append((JOBS, self.jobs, namespace, PREFETCH_LABEL))
            watched.append((PODS, self.pods, namespace, PREFETCH_LABEL))
        if config.video_models and config.model_cache.is_of_each_node:
            watched.append((NODES, self.nodes, None, None))
        self.reflectors = [
            Reflector(client, kind, scope, store, selector)
            for kind, store, scope, selector in watched
        ]

    def missing_kinds(self) -> set[Kind]:
        """What of it is not there yet."""
        return {each.kind for each in self.reflectors if not each.is_full}

    async def wait_until_full(self) -> None:
        await asyncio.gather(*(each.wait_until_full() for each in self.reflectors))

    async def run(self) -> None:
        """Keep it in step with the API server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run())
            await asyncio.Event().wait()

    def jobs_of(self, name: str) -> tuple[ObservedJob, ...]:
        """The Jobs that fetch the model, for its spec as it is or was."""
        return tuple(job for _, job in self.jobs.items() if _model_of(job) == name)

    def pods_of(self, jobs: tuple[ObservedJob, ...]) -> tuple[ObservedPod, ...]:
        """The Jobs' pods, the oldest first."""
        uids = {job.uid for job in jobs}
        pods = (pod for _, pod in self.pods.items() if pod.job_uid in uids)
        return tuple(sorted(pods, key=lambda pod: (pod.created, pod.name)))

    def fetched_by(self, namespace: str, job_uid: str) -> tuple[str, ObservedJob] | None:
        """The model that a Job fetches, and the Job; None where it is none of these."""
        found = ((key, job) for key, job in self.jobs.items() if job.uid == job_uid)
        key, job = next(found, (None, None))
        name = _model_of(job) if job else None
        return (name, job) if key and key[0] == namespace and name and job else None

    def report(self, name: str, pod: str, progress: Progress) -> None:
        """Take in what a pod that fetches the model says of its progress."""
        self._reports[pod] = progress
        self._news(name)

    def reports_of(self, pods: tuple[ObservedPod, ...]) -> dict[str, Progress]:
        """What each of them said last, by their names."""
        return {pod.name: self._reports[pod.name] for pod in pods if pod.name in self._reports}

    def all_nodes(self) -> tuple[ObservedNode, ...]:
        """Those of the cluster; none where it does not matter."""
        return tuple(node for _, node in self.nodes.items())

    def _index_model(
        self, key: Key, before: ObservedModel | None, after: ObservedModel | None
    ) -> None:
        if after is not None:
            self.by_name[key[1]] = after
        else:
            self.by_name.pop(key[1], None)
        if _offer(before) != _offer(after):
            self._offered(key[1])

    def _job_news(self, key: Key, before: ObservedJob | None, after: ObservedJob | None) -> None:
        job = after or before
        if before != after and job and (name := _model_of(job)):
            self._news(name)

    def _pod_news(self, key: Key, before: ObservedPod | None, after: ObservedPod | None) -> None:
        pod = after or before
        if after is None:
            self._reports.pop(key[1], None)
        fetched = self.fetched_by(key[0], pod.job_uid) if pod and before != after else None
        if fetched:
            self._news(fetched[0])

    def _node_news(self, key: Key, before: ObservedNode | None, after: ObservedNode | None) -> None:
        if before != after:
            for name, model in self.by_name.items():
                if model.is_prefetched:
                    self._news(name)


def _offer(model: ObservedModel | None) -> object:
    """What videos make of it."""
    if model is None:
        return None
    # Where each node has a cache, a loss is told of while the model stays ready.
    missing = model.status.missing_time if model.status else None
    return model.profile, model.reason, model.is_being_deleted, missing


def _model_of(job: ObservedJob) -> str | None:
    kind, _, name = job.owner.partition(" ")
    return name if kind == MODEL_KIND else None


def _nothing(*_: object) -> None:
    pass

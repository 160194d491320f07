"""Looks at one VideoModel: what is made, what is written, who is told."""

import asyncio
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import Reason
from t2v_operator.cluster import models as looks
from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.errors import ClusterError, TryAgain
from t2v_operator.cluster.kinds import JOBS, NODES, PODS, RESOURCES, VIDEO_MODELS
from t2v_operator.cluster.metrics import Metrics
from t2v_operator.cluster.model_cache import ModelCache
from t2v_operator.cluster.models import ModelReconciler
from t2v_operator.config import OperatorConfig
from t2v_operator.core.names import IN_USE_FINALIZER, JOB_LABEL, MODEL_LABEL, PREFETCH_LABEL

from tests.unit.cluster.api_server import ApiServer
from tests.unit.model_observations import (
    COMMIT,
    MODEL,
    a_config_on_nodes,
    a_config_with_a_cache,
    a_model_document,
    a_node,
    a_prefetch_job,
    a_record,
    ended,
)
from tests.unit.observations import (
    a_failure,
    a_job_document,
    a_pod_document,
    a_resource_document,
    at,
)

NAMESPACE = "t2v-system"


class World:
    """A cluster with VideoModels, and what an operator knows of it."""

    def __init__(self, config: OperatorConfig | None = None) -> None:
        self.server = ApiServer(self._time)
        self.uptime = 1000.0
        self.is_current = True
        self.news: list[str] = []
        self.woken: list[Any] = []
        client: Any = self.server
        config = config or a_config_with_a_cache()
        self.models = ModelCache(client, NAMESPACE, config, self.news.append, self._offered)
        self.cache = Cache(
            client,
            (),
            with_workloads=False,
            news=lambda key, more_follows=False: None,
            models=self.models.by_name,
            model_news=self.news.append,
        )
        self.events: list[tuple[str, str, str]] = []
        recorder: Any = SimpleNamespace(
            tell=lambda about, notice, _, kind: self.events.append(
                (notice.kind, notice.reason, f"{kind} {about.name}: {notice.message}")
            )
        )
        self.metrics = Metrics()
        self.reconciler = ModelReconciler(
            client,
            self.models,
            self.cache,
            config,
            NAMESPACE,
            self._time,
            recorder,
            self.metrics.wrote_model,
            lambda: self.is_current,
        )

    def _time(self) -> datetime:
        return at(100)

    def _offered(self, name: str) -> None:
        self.woken += self.cache.unfinished_of(name)

    def hears(self) -> None:
        """Everything that the API server has to tell by now, to whom it concerns."""
        for kind, store, label in (
            (RESOURCES, self.cache.resources, ""),
            (JOBS, self.cache.jobs, JOB_LABEL),
            (VIDEO_MODELS, self.models.models, ""),
            (JOBS, self.models.jobs, PREFETCH_LABEL),
            (PODS, self.models.pods, ""),
            (NODES, self.models.nodes, ""),
        ):
            every: Any = store
            documents = [
                each
                for each in self.server.all_of(kind)
                if not label or label in each["metadata"].get("labels", {})
            ]
            every.sweep(every.page(documents, self.server.version, None), self.server.version, None)

    def has_model(self, **model: Any) -> None:
        self.server.put(VIDEO_MODELS, a_model_document(**model))
        self.hears()

    def looks(self) -> float | None:
        return asyncio.run(self.reconciler.reconcile(MODEL))

    @property
    def model(self) -> dict[str, Any]:
        return self.server.objects[VIDEO_MODELS, "", MODEL]

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """Those that fetch."""
        return [
            each
            for each in self.server.all_of(JOBS)
            if PREFETCH_LABEL in each["metadata"]["labels"]
        ]

    def a_job_draws(self, complete: bool = False) -> None:
        job = a_job_document(complete=complete)
        job["metadata"]["labels"][MODEL_LABEL] = MODEL
        self.server.put(JOBS, job)
        self.hears()

    def tells(self, done: int, pod: str = "pod-1") -> None:
        """The pod that fetches says how far it is."""
        told = Progress(
            stage=Stage.DOWNLOAD,
            step=0,
            steps=0,
            percent=0,
            bytes=done,
            total_bytes=1000,
            updated_time=at(100),
        )
        self.models.report(MODEL, pod, told)

    def ends(self, kind: str, **pod: Any) -> None:
        """The Job that fetches is over, and so is its pod; the next look has been."""
        job = self.jobs[0]
        job["status"] = {"conditions": ended(kind, "BackoffLimitExceeded")}
        self.server.put(JOBS, job)
        self.server.put(PODS, a_pod_document(job_uid=job["metadata"]["uid"], **pod))
        self.hears()
        self.looks()

    def counted(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"model": MODEL})

    def fetching(self) -> None:
        """Its Job is there, and a pod of it runs."""
        self.has_model()
        self.looks()
        uid = self.jobs[0]["metadata"]["uid"]
        self.server.put(PODS, a_pod_document(job_uid=uid, running=True))
        self.hears()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    tested = World()
    monkeypatch.setattr(looks, "time", SimpleNamespace(monotonic=lambda: tested.uptime))
    return tested


def test_a_model_gets_one_job_in_the_operators_namespace_and_a_status(world: World) -> None:
    world.has_model()
    world.looks()
    assert world.looks() == 5
    (job,) = world.jobs
    assert job["metadata"]["namespace"] == NAMESPACE
    assert world.model["status"]["conditions"][0]["reason"] == "Prefetching"
    assert world.server.count("create", JOBS) == 1
    world.uptime += 5
    world.looks()
    assert world.model["status"]["message"] == "the Job controller is making the pod"
    world.server.forget_requests()
    world.looks()
    assert world.server.requests == []


def test_a_job_that_the_cache_has_not_seen_is_taken_for_what_it_is(world: World) -> None:
    world.server.put(JOBS, a_prefetch_job())
    world.server.put(VIDEO_MODELS, a_model_document())
    document = world.server.all_of(VIDEO_MODELS)
    world.models.models.page(document, world.server.version, None)
    world.looks()
    assert len(world.jobs) == 1
    assert world.models.jobs_of(MODEL)


def test_percents_are_written_now_and_then_and_the_end_at_once(world: World) -> None:
    world.fetching()
    world.uptime += 60
    world.tells(100)
    world.looks()
    assert world.model["status"]["percent"] == 10
    world.uptime += 2
    world.tells(200)
    assert world.looks() == 3
    assert world.model["status"]["percent"] == 10
    world.uptime += 3
    world.looks()
    assert world.model["status"]["percent"] == 20
    done = world.jobs[0]
    done["status"] = {"conditions": ended("Complete")}
    uid = done["metadata"]["uid"]
    world.server.put(JOBS, done)
    world.server.put(PODS, a_pod_document(job_uid=uid, exit_code=0, message=a_record()))
    world.hears()
    world.looks()
    assert (world.model["status"]["commit"], world.model["status"]["percent"]) == (COMMIT, 100)


def test_what_another_pod_has_told_says_nothing_of_this_one(world: World) -> None:
    world.fetching()
    world.tells(900, pod="pod-0")
    world.looks()
    assert world.model["status"]["percent"] == 0


def test_a_pod_whose_node_is_lost_goes_so_that_its_job_makes_another(world: World) -> None:
    world.has_model()
    world.looks()
    pod = a_pod_document(job_uid=world.jobs[0]["metadata"]["uid"], not_ready_since=-250)
    pod["metadata"]["namespace"] = NAMESPACE
    world.server.put(PODS, pod)
    world.hears()
    world.uptime += 60
    world.looks()
    assert world.server.all_of(PODS) == []
    assert "is given up and replaced" in world.model["status"]["message"]


def test_who_waits_for_a_model_is_told_when_it_is_ready_and_not_before(world: World) -> None:
    world.server.put(RESOURCES, a_resource_document({"modelId": MODEL}))
    world.server.put(RESOURCES, a_resource_document(name="of-another-model"))
    world.fetching()
    world.woken.clear()
    world.tells(100)
    world.looks()
    assert world.woken == []
    done = world.jobs[0]
    done["status"] = {"conditions": ended("Complete")}
    world.server.put(JOBS, done)
    uid = done["metadata"]["uid"]
    world.server.put(PODS, a_pod_document(job_uid=uid, exit_code=0, message=a_record()))
    world.hears()
    world.looks()
    assert world.woken == [("default", "red-circle")]


def test_who_waits_for_a_model_that_goes_is_told(world: World) -> None:
    world.server.put(RESOURCES, a_resource_document({"modelId": MODEL}))
    world.has_model()
    world.woken.clear()
    del world.server.objects[VIDEO_MODELS, "", MODEL]
    world.server.version += 1
    world.hears()
    assert world.woken == [("default", "red-circle")]


def test_a_model_that_a_job_draws_with_stays_until_it_has_ended(world: World) -> None:
    world.has_model(prefetch=None)
    world.looks()
    assert "finalizers" not in world.model["metadata"]
    world.news.clear()
    world.a_job_draws()
    assert MODEL in world.news
    world.looks()
    assert world.model["metadata"]["finalizers"] == [IN_USE_FINALIZER]
    asyncio.run(world.server.delete(VIDEO_MODELS, "", MODEL, {}))
    world.hears()
    world.looks()
    status = world.model["status"]
    assert status["conditions"][0]["reason"] == "InUse"
    assert "default/red-circle-" in status["message"]
    world.news.clear()
    world.a_job_draws(complete=True)
    assert MODEL in world.news
    world.looks()
    assert world.model["metadata"]["finalizers"] == []


def test_a_new_leader_lets_no_model_go_before_it_knows_the_jobs_of_the_last_one(
    world: World,
) -> None:
    world.has_model(prefetch=None, finalizer=True, deleting=True)
    world.is_current = False
    with pytest.raises(TryAgain, match="an earlier leader may have made a Job"):
        world.looks()
    assert world.model["metadata"]["finalizers"] == [IN_USE_FINALIZER]
    world.is_current = True
    world.looks()
    assert world.model["metadata"]["finalizers"] == []


def test_a_model_that_is_gone_is_not_asked_for_without_a_pause(world: World) -> None:
    """Its watch may be behind, or broken."""
    world.has_model(prefetch=None, finalizer=True)
    del world.server.objects[VIDEO_MODELS, "", MODEL]
    with pytest.raises(TryAgain, match="it is gone"):
        world.looks()


def test_a_job_that_is_refused_is_told_and_tried_again(world: World) -> None:
    world.has_model()
    refusal = ClusterError(403, "Forbidden", "exceeded quota")
    for _ in range(2):
        world.server.refusals["create", "jobs"] = refusal
        with pytest.raises(TryAgain, match="exceeded quota"):
            world.looks()
    assert world.server.count("update", VIDEO_MODELS) == 1, "said once"
    assert world.model["status"]["conditions"][0]["reason"] == "JobNotCreated"
    world.looks()
    assert world.model["status"]["conditions"][0]["reason"] == "Prefetching"


def test_what_the_api_server_cannot_take_just_now_is_no_reason_to_look(world: World) -> None:
    """kstatus takes Stalled for the end, and so does whoever deploys by it."""
    world.has_model()
    world.server.refusals["create", "jobs"] = ClusterError(503, "ServiceUnavailable", "overloaded")
    with pytest.raises(TryAgain, match="overloaded"):
        world.looks()
    held = {each["type"]: each["status"] for each in world.model["status"]["conditions"]}
    assert held == {"Ready": "False", "Reconciling": "True", "Stalled": "False"}
    message = "the API server could not take the Job that fetches it: overloaded"
    assert world.model["status"]["message"] == message
    assert world.events == []


def test_an_earlier_job_that_may_not_go_takes_no_models_readiness(world: World) -> None:
    world.fetching()
    world.has_model(prefetch=None, generation=2)
    world.server.refusals["delete", "jobs"] = ClusterError(403, "Forbidden", "not yours")
    with pytest.raises(TryAgain):
        world.looks()
    assert world.model["status"]["conditions"][0]["reason"] == "Available"
    assert world.model["status"]["message"] == (
        "ready: each Job fetches it; the API server refused a change of what fetches it: not yours"
    )


def test_a_status_that_rests_on_something_old_is_not_written(world: World) -> None:
    world.has_model(prefetch=None)
    world.server.put(VIDEO_MODELS, a_model_document(prefetch=None, generation=2))
    with pytest.raises(TryAgain, match="changed meanwhile"):
        world.looks()


def test_an_installation_without_models_watches_none() -> None:
    watched = [each.kind for each in World().models.reflectors]
    assert watched == [VIDEO_MODELS, JOBS, PODS]
    other = World(a_config_with_a_cache(videoModels=False))
    assert other.models.reflectors == []


def test_a_fetch_is_told_when_it_begins_and_when_it_is_done(world: World) -> None:
    world.fetching()
    (begun,) = world.events
    assert begun[:2] == ("Normal", "PrefetchStarted")
    assert begun[2].startswith("VideoModel tiny-hub: made the Job prefetch-tiny-hub-")
    world.ends("Complete", exit_code=0, message=a_record(fetched_bytes=28_000_000_000))
    world.looks()
    (done,) = world.events[1:]
    assert done[:2] == ("Normal", "Fetched")
    assert done[2] == (
        "VideoModel tiny-hub: 28.93 GB are in the model cache, 28.00 GB came now, in 48 s; "
        "ready at commit cccccccccccc"
    )
    assert world.counted("t2v_model_fetch_seconds_sum") == 48
    assert world.counted("t2v_model_fetched_bytes_total") == 28_000_000_000
    assert world.counted("t2v_model_fetches_failed_total") == 0


def test_a_fetch_that_failed_is_told_once_with_its_reason(world: World) -> None:
    world.fetching()
    licence = a_failure(Reason.MODEL_NOT_LOADABLE, "accept the licence")
    world.ends("Failed", exit_code=3, message=licence)
    world.looks()
    (failed,) = world.events[1:]
    assert failed[:2] == ("Warning", "PrefetchFailed")
    assert "accept the licence" in failed[2]
    assert world.counted("t2v_model_fetches_failed_total") == 1
    assert world.counted("t2v_model_fetch_seconds_sum") is None


def test_a_model_that_is_deleted_while_it_is_used_is_told(world: World) -> None:
    world.has_model(prefetch=None)
    world.looks()
    world.a_job_draws()
    world.looks()
    asyncio.run(world.server.delete(VIDEO_MODELS, "", MODEL, {}))
    world.hears()
    world.looks()
    world.looks()
    assert [each[:2] for each in world.events] == [("Normal", "Available"), ("Warning", "InUse")]
    assert "default/red-circle-" in world.events[1][2]
    for config in (a_config_with_a_cache, a_config_on_nodes):
        assert World(config(videoModels=False)).models.reflectors == []


def test_nodes_are_watched_only_where_each_has_a_cache_of_its_own() -> None:
    watched = [each.kind for each in World(a_config_on_nodes()).models.reflectors]
    assert watched == [VIDEO_MODELS, JOBS, PODS, NODES]


def test_a_node_that_comes_is_news_of_all_that_is_fetched_and_its_heartbeat_is_none() -> None:
    world = World(a_config_on_nodes())
    world.has_model()
    world.server.put(VIDEO_MODELS, a_model_document(name="by-each-job", prefetch=None))
    world.hears()
    world.news.clear()
    world.server.put(NODES, a_node("gpu-1"))
    world.hears()
    assert world.news == [MODEL]
    world.looks()
    assert [each["name"] for each in world.model["status"]["nodes"]] == ["gpu-1"]
    assert world.server.count("create", JOBS) == 1
    world.news.clear()
    beating = a_node("gpu-1")
    beating["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-01-01T00:00:00Z"
    world.server.put(NODES, beating)
    world.hears()
    assert world.news == []


def test_what_a_pod_told_is_forgotten_with_it(world: World) -> None:
    world.fetching()
    world.tells(100)
    pods = world.models.pods_of(world.models.jobs_of(MODEL))
    assert world.models.reports_of(pods)
    (key,) = (key for key in world.server.objects if key[0] == PODS)
    del world.server.objects[key]
    world.server.version += 1
    world.hears()
    assert not world.models.reports_of(pods)

"""Somebody empties the model cache: a video's pod finds out, its model comes again, it goes on."""

import asyncio
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_operator.cluster import models as model_looks
from t2v_operator.cluster import reconcile
from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.enhancing import Enhancing
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES, VIDEO_MODELS
from t2v_operator.cluster.model_cache import ModelCache
from t2v_operator.cluster.models import ModelReconciler
from t2v_operator.cluster.reconcile import Reconciler
from t2v_operator.cluster.reuse import Reuse
from t2v_operator.core.names import JOB_LABEL, PREFETCH_LABEL

from tests.unit.cluster.api_server import ApiServer
from tests.unit.model_observations import (
    COMMIT,
    MODEL,
    a_config_with_a_cache,
    a_model_document,
    a_record,
    ended,
)
from tests.unit.observations import a_failure, a_pod_document, a_resource_document, at

NAMESPACE = "t2v-system"


class World:
    """A cluster with a VideoModel and videos of it; both reconcilers see what the other writes."""

    def __init__(self) -> None:
        self.now = 100.0
        self.server = ApiServer(self._time)
        self.told: list[str] = []
        self.model_news: list[str] = []
        client: Any = self.server
        config = a_config_with_a_cache()
        self.models = ModelCache(client, NAMESPACE, config, lambda _: None, lambda _: None)
        self.cache = Cache(
            client,
            (),
            with_workloads=False,
            news=lambda key, more_follows=False: None,
            models=self.models.by_name,
            model_news=self.model_news.append,
        )
        recorder: Any = SimpleNamespace(tell=lambda *told: self.told.append(told[1].reason))
        self.model_reconciler = ModelReconciler(
            client,
            self.models,
            self.cache,
            config,
            NAMESPACE,
            self._time,
            recorder,
            lambda *_: None,
            lambda: True,
        )
        self.reconciler = Reconciler(
            self.cache,
            Effects(client, self.cache, None),
            recorder,
            Reuse(self.cache, None, config),
            Enhancing(None, None, config, lambda _: None),
            config,
            self._time,
            lambda _: True,
            lambda *_: None,
        )
        self.server.put(VIDEO_MODELS, a_model_document())
        self.hears()

    def _time(self) -> datetime:
        return at(self.now)

    def has_a_video(self, name: str = "red-circle", **spec: Any) -> None:
        spec = {"modelId": MODEL, **spec}
        document = a_resource_document(spec, name=name)
        document["metadata"]["uid"] = f"uid-of-{name}"
        self.server.put(RESOURCES, document)
        self.hears()

    def hears(self) -> None:
        for kind, store, label in (
            (RESOURCES, self.cache.resources, ""),
            (JOBS, self.cache.jobs, JOB_LABEL),
            (PODS, self.cache.pods, ""),
            (VIDEO_MODELS, self.models.models, ""),
            (JOBS, self.models.jobs, PREFETCH_LABEL),
            (PODS, self.models.pods, ""),
        ):
            every: Any = store
            documents = [
                each
                for each in self.server.all_of(kind)
                if not label or label in each["metadata"].get("labels", {})
            ]
            every.sweep(every.page(documents, self.server.version, None), self.server.version, None)

    def look_at_model(self) -> None:
        for _ in range(3):
            self.now += 10
            asyncio.run(self.model_reconciler.reconcile(MODEL))
            self.hears()

    def look_at_video(self, name: str = "red-circle") -> None:
        for _ in range(3):
            self.now += 1
            asyncio.run(self.reconciler.reconcile(("default", name)))
            self.hears()

    def jobs(self, label: str) -> list[dict[str, Any]]:
        """Those that are not being deleted."""
        found = (each["metadata"] for each in self.server.all_of(JOBS))
        names = {
            each["name"]
            for each in found
            if label in each["labels"] and "deletionTimestamp" not in each
        }
        return [each for each in self.server.all_of(JOBS) if each["metadata"]["name"] in names]

    def video_jobs(self) -> list[dict[str, Any]]:
        return self.jobs(JOB_LABEL)

    def fetches(self, **record: Any) -> None:
        """What fetches the model does so."""
        (job,) = self.jobs(PREFETCH_LABEL)
        name = job["metadata"]["name"]
        pod = a_pod_document(
            f"pod-of-{name}",
            job_uid=job["metadata"]["uid"],
            exit_code=0,
            message=a_record(**record),
            made=self.now,
        )
        self.now += 60
        job["status"] = {"conditions": ended("Complete", since=self.now)}
        self.server.put(JOBS, job)
        self.server.put(PODS, pod | {"metadata": pod["metadata"] | {"namespace": NAMESPACE}})
        self.hears()
        self.look_at_model()

    def its_pod_finds_nothing(
        self, name: str = "pod-1", ago: float = 0, failed: bool = False
    ) -> None:
        """The pod of the one video's Job; it began so many seconds ago."""
        (job,) = self.video_jobs()
        self.server.put(
            PODS,
            a_pod_document(
                name,
                job_uid=job["metadata"]["uid"],
                exit_code=1,
                message=a_failure(Reason.MODEL_NOT_IN_CACHE, "it is not in the cache"),
                made=self.now - ago,
            ),
        )
        if failed:
            job["status"] = {"conditions": ended("Failed", "BackoffLimitExceeded", self.now)}
            self.server.put(JOBS, job)
        self.now += 60
        self.hears()

    def its_job_is_gone(self) -> None:
        """With its pods, as the garbage collector does it."""
        for kind in (PODS, JOBS):
            for (of, namespace, name), _ in list(self.server.objects.items()):
                if of == kind and namespace == "default":
                    self.server.drop(kind, name)
        self.hears()

    @property
    def model_status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.server.objects[VIDEO_MODELS, "", MODEL]["status"]
        return status

    def model_reason(self) -> str:
        reason: str = self.model_status["conditions"][0]["reason"]
        return reason

    def video(self, name: str = "red-circle") -> tuple[str, str]:
        """Its phase and reason."""
        status = self.server.objects[RESOURCES, "default", name]["status"]
        return status["phase"], status["conditions"][0]["reason"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """One whose model is in the cache, and a video of it that has its Job."""
    tested = World()
    clock = SimpleNamespace(monotonic=lambda: tested.now * 100)
    monkeypatch.setattr(reconcile, "time", clock)
    monkeypatch.setattr(model_looks, "time", clock)
    tested.look_at_model()
    tested.fetches(fetched_bytes=28_930_000_000)
    assert tested.model_reason() == "Available"
    tested.has_a_video()
    tested.look_at_video()
    assert len(tested.video_jobs()) == 1
    return tested


def test_a_model_that_is_gone_comes_again_and_the_video_goes_on(world: World) -> None:
    first = world.jobs(PREFETCH_LABEL)
    world.its_pod_finds_nothing()
    world.look_at_video()
    world.its_job_is_gone()
    world.look_at_video()
    assert world.video() == ("Pending", "ModelNotReady")
    assert not world.video_jobs(), "no GPU is held meanwhile"
    assert MODEL in world.model_news
    world.look_at_model()
    assert world.model_reason() == "Prefetching"
    (again,) = world.jobs(PREFETCH_LABEL)
    assert again["metadata"]["name"] != first[0]["metadata"]["name"]
    world.look_at_video()
    assert world.video() == ("Pending", "ModelNotReady")
    world.fetches(fetched_bytes=28_930_000_000)
    assert world.model_reason() == "Available"
    world.look_at_video()
    assert len(world.video_jobs()) == 1
    assert world.video()[0] == "Queued"
    attempts = world.server.objects[RESOURCES, "default", "red-circle"]["status"]["attempts"]
    assert [each["reason"] for each in attempts] == ["ModelNotInCache"]
    of_the_model = ["PrefetchStarted", "Fetched", "MissingInCache", "PrefetchStarted", "Fetched"]
    assert [each for each in world.told if each in of_the_model] == of_the_model


def test_a_look_between_the_video_and_its_model_makes_no_job(world: World) -> None:
    """The model still says that it is ready: the video knows better."""
    world.its_pod_finds_nothing()
    world.look_at_video()
    world.its_job_is_gone()
    world.look_at_video()
    assert world.model_reason() == "Available"
    assert not world.video_jobs()


def test_the_commit_that_was_promised_comes_again_though_its_branch_has_moved(
    world: World,
) -> None:
    world.its_pod_finds_nothing()
    world.look_at_video()
    world.look_at_model()
    (job,) = world.jobs(PREFETCH_LABEL)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (model,) = (each["value"] for each in container["env"] if each["name"] == "T2V_MODEL")
    assert COMMIT in model


def test_who_looked_before_it_came_again_is_no_reason_to_fetch_it_once_more(world: World) -> None:
    world.its_pod_finds_nothing()
    world.look_at_video()
    world.look_at_model()
    began = world.now
    world.fetches(fetched_bytes=28_930_000_000)
    (job,) = world.jobs(PREFETCH_LABEL)
    world.its_job_is_gone()
    world.look_at_video()
    world.its_pod_finds_nothing("pod-2", ago=world.now - began)
    world.look_at_video()
    world.look_at_model()
    assert world.model_reason() == "Available"
    assert [each["metadata"]["name"] for each in world.jobs(PREFETCH_LABEL)] == [
        job["metadata"]["name"]
    ]


def test_a_claim_that_shows_other_files_is_not_fetched_for_again_and_again(world: World) -> None:
    """The second fetch finds all of it there: whoever misses it looks elsewhere."""
    for number in range(4):
        world.its_pod_finds_nothing(f"pod-{number}", failed=True)
        world.look_at_video()
        if world.video()[0] == "Failed":
            break
        world.its_job_is_gone()
        world.look_at_model()
        if world.model_reason() != "Available":
            world.fetches(fetched_bytes=0)
        world.look_at_video()
    assert world.video() == ("Failed", "ModelNotInCache")
    creations = [each for each in world.server.requests if each == ("create", "jobs")]
    fetches = len(creations) - number - 1
    assert fetches == 2, "the first, and one more"


def test_a_node_whose_clock_is_ahead_has_it_fetched_once(world: World) -> None:
    """Else it would be missed again after each fetch, until the clocks meet."""
    world.its_pod_finds_nothing(ago=-600)
    world.look_at_video()
    world.its_job_is_gone()
    world.look_at_video()
    world.look_at_model()
    assert world.model_reason() == "Prefetching"
    world.fetches(fetched_bytes=28_930_000_000)
    assert world.model_reason() == "Available"
    world.look_at_video()
    assert world.video()[0] == "Queued"


def test_after_a_restart_the_status_alone_tells_it(world: World) -> None:
    world.its_pod_finds_nothing()
    world.look_at_video()
    world.its_job_is_gone()
    later = World()
    later.server, later.now = world.server, world.now
    later.hears()
    assert [each.revision for each in later.cache.missed_of(MODEL)] == [COMMIT]


def test_a_video_that_has_ended_asks_for_nothing(world: World) -> None:
    world.its_pod_finds_nothing()
    world.look_at_video()
    assert world.cache.missed_of(MODEL)
    world.server.drop(RESOURCES, "red-circle")
    world.hears()
    assert world.cache.missed_of(MODEL) == []

"""Looks at one resource: what is asked of the API server, what is written, what is left alone."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_operator.cluster import reconcile
from t2v_operator.cluster.api_keys import ApiKeys
from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.enhancing import Ask, Enhancing
from t2v_operator.cluster.errors import ClusterError, NotLeader, TryAgain
from t2v_operator.cluster.kinds import (
    EVENTS,
    JOBS,
    PODS,
    RESOURCES,
    VIDEO_MODELS,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from t2v_operator.cluster.reconcile import Reconciler
from t2v_operator.cluster.resource_keys import ResourceKeys
from t2v_operator.cluster.reuse import Reuse
from t2v_operator.config import OperatorConfig
from t2v_operator.core.names import JOB_LABEL, POOL_LABEL, RECORD_ANNOTATION
from t2v_operator.core.observed import Settled

from tests.unit.api_keys import SYSTEM
from tests.unit.builders import a_config, a_config_of_pools, a_config_with_kueue
from tests.unit.cluster.api_server import ApiServer, the_jobs, the_status
from tests.unit.model_observations import MODEL, a_model_document
from tests.unit.observations import (
    JOB_NAME,
    a_failure,
    a_job_document,
    a_job_seen,
    a_pod_document,
    a_record_of,
    a_resource_document,
    a_result,
    a_status,
    at,
    queued,
    running,
    succeeded,
    text,
)

KEY = ("default", "red-circle")


class World:
    """A cluster with one resource, and an operator's cache of it."""

    def __init__(
        self,
        config: OperatorConfig | None = None,
        store: Any = None,
        ask: Ask | None = None,
        server: ApiServer | None = None,
    ) -> None:
        self.server = server or ApiServer(self._time)
        self.news: list[Any] = []
        self.told: list[str] = []
        self.ended: list[tuple[Phase | None, Phase]] = []
        self.now, self.uptime, self.is_current = 100.0, 1000.0, True
        config = config or a_config()
        client: Any = self.server
        recorder: Any = SimpleNamespace(tell=lambda _, notice, __: self.told.append(notice.reason))
        self.cache = Cache(
            client,
            (),
            with_workloads=True,
            news=lambda key, more_follows=False: self.news.append(key),
        )
        self.look_again: list[Any] = []
        self.enhancing = Enhancing(ask, store, config, self.look_again.append, lambda: self.uptime)
        self.api_keys = ApiKeys(client, SYSTEM)
        secret = config.gateway_secret
        keys = ResourceKeys(client, SYSTEM, self.api_keys, secret, lambda: self.uptime)
        self.reconciler = Reconciler(
            self.cache,
            Effects(client, self.cache, store),
            recorder,
            Reuse(self.cache, store, config),
            self.enhancing,
            config,
            self._time,
            lambda _: self.is_current,
            lambda resource, status: self.ended.append(
                (resource.status.phase if resource.status else None, status.phase)
            ),
            keys if config.api_keys.enabled else None,
        )

    def _time(self) -> datetime:
        return at(self.now)

    def has(self, **resource: Any) -> None:
        """A resource that the cache knows."""
        self.server.put(RESOURCES, a_resource_document(**resource))
        self.hears()

    def hears(self) -> None:
        """Everything that the API server has to tell by now; of Jobs, those with our label."""
        for kind, store in self.cache.stores.items():
            documents = [
                each
                for each in self.server.all_of(kind)
                if kind is not JOBS or JOB_LABEL in each["metadata"].get("labels", {})
            ]
            seen = store.page(documents, self.server.version, None)
            store.sweep(seen, self.server.version, None)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.uptime += seconds

    def looks(self) -> float | None:
        return asyncio.run(self.reconciler.reconcile(KEY))

    def looks_until_it_is_written(self) -> dict[str, Any]:
        """Two looks, with the patience between them that a status has. What is written then."""
        self.passes(self.looks() or 0)
        self.looks()
        return the_status(self.server)

    def tries_again(self) -> str:
        with pytest.raises(TryAgain) as again:
            self.looks()
        return str(again.value)

    def job(self, **job: Any) -> None:
        self.server.put(JOBS, a_job_document(**job))

    def pod(self, name: str = "pod-1", **pod: Any) -> None:
        self.server.put(PODS, a_pod_document(name, **pod))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    def made(config: OperatorConfig | None = None, **resource: Any) -> World:
        tested = World(config)
        monkeypatch.setattr(reconcile, "time", SimpleNamespace(monotonic=lambda: tested.uptime))
        tested.has(**resource)
        tested.news.clear()
        return tested

    return made


def test_a_model_that_was_applied_with_its_video_is_found_though_the_watch_is_behind(
    world: Callable[..., World],
) -> None:
    """Else the request would have failed for good."""
    tested = world(spec={"modelId": MODEL})
    tested.server.put(VIDEO_MODELS, a_model_document())
    status = tested.looks_until_it_is_written()
    assert (status["phase"], status["conditions"][0]["reason"]) == ("Pending", "ModelNotReady")


def test_a_model_that_is_nowhere_fails_its_video(world: Callable[..., World]) -> None:
    tested = world(spec={"modelId": MODEL})
    assert tested.looks_until_it_is_written()["conditions"][0]["reason"] == "ModelNotFound"


def test_a_new_resource_gets_its_job_at_once_and_its_status_soon(
    world: Callable[..., World],
) -> None:
    tested = world()
    again = tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]
    assert tested.server.requests == [("create", "jobs")]
    assert again
    tested.passes(again)
    tested.looks()
    assert the_status(tested.server)["phase"] == "Queued"
    assert tested.told == ["JobCreated"]


def test_a_status_is_written_once(world: Callable[..., World]) -> None:
    tested = world()
    tested.looks_until_it_is_written()
    tested.server.forget_requests()
    tested.passes(1)
    tested.looks()
    tested.hears()
    tested.looks()
    assert tested.server.requests == []
    assert tested.news == [], "own writes are no news"


def test_a_status_that_was_computed_from_something_old_is_not_written(
    world: Callable[..., World],
) -> None:
    tested = world(spec={"pool": "other"})
    tested.server.change(RESOURCES, "red-circle", spec={"pool": "default"})
    assert "changed meanwhile" in tested.tries_again()
    assert the_status(tested.server) == {"phase": "Pending", "observedGeneration": -1}
    tested.hears()
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]


def test_progress_twenty_times_a_second_costs_a_write_in_ten_seconds(
    world: Callable[..., World],
) -> None:
    tested = world(status=running())
    tested.job()
    tested.pod(running=True)
    tested.hears()
    for report in range(20 * 60):
        said = Progress(
            stage=Stage.DENOISE,
            step=report // 100,
            steps=25,
            percent=report // 20,
            updated_time=at(-600 + report / 20),
        )
        tested.cache.report(KEY, "pod-1", said)
        tested.looks()
        tested.passes(1 / 20)
    assert tested.server.count("update", RESOURCES) <= 7
    assert set(tested.server.requests) == {("update", "texttovideojobs")}


def test_what_waits_for_more_news_says_when_it_is_due(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.job()
    tested.pod(running=True)
    tested.hears()
    said = Progress(stage=Stage.DENOISE, step=1, steps=25, percent=4, updated_time=at(100))
    tested.cache.report(KEY, "pod-1", said)
    tested.looks()
    tested.cache.report(KEY, "pod-1", said.model_copy(update={"percent": 5}))
    tested.passes(4)
    assert tested.looks() == pytest.approx(6)


def test_a_run_that_ends_as_it_began_costs_one_write(world: Callable[..., World]) -> None:
    tested = world(status=queued())
    tested.job()
    tested.pod(running=True)
    tested.hears()
    assert tested.looks() == pytest.approx(3)
    tested.passes(1)
    assert tested.looks() == pytest.approx(2)
    tested.job(complete=True)
    tested.pod(exit_code=0, message=a_result())
    tested.hears()
    tested.looks()
    assert the_status(tested.server)["phase"] == "Succeeded"
    assert tested.server.count("update", RESOURCES) == 1
    assert "Running" not in tested.told


def test_nothing_is_untold_for_longer_than_what_is_queued(world: Callable[..., World]) -> None:
    tested = world()
    tested.job()
    tested.hears()
    assert tested.looks() == pytest.approx(5), "its pod may tell more soon"
    tested.passes(4)
    tested.pod(running=True)
    tested.hears()
    assert tested.looks() == pytest.approx(1), "not three seconds more"
    tested.passes(1)
    tested.looks()
    assert the_status(tested.server)["phase"] == "Running"


def test_a_job_that_the_cache_does_not_show_is_not_made_again(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.job()
    tested.pod(running=True)
    tested.looks()
    assert tested.server.count("create", JOBS) == 0
    assert tested.server.count("list", JOBS) == 1
    assert the_status(tested.server)["phase"] == "Running"


def test_a_first_job_that_is_there_already_is_taken_for_the_one(
    world: Callable[..., World],
) -> None:
    tested = world()
    tested.job()
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]
    assert [job.name for job in tested.cache.jobs_of(KEY)] == [JOB_NAME]


def test_a_job_that_is_really_gone_is_made_again(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]
    assert tested.server.count("list", JOBS) == 1


def test_a_deleted_job_is_counted_however_soon_it_was_deleted(world: Callable[..., World]) -> None:
    tested = world(status=queued())
    tested.job()
    tested.pod(running=True)
    tested.hears()
    assert tested.looks_until_it_is_written()["phase"] == "Running"
    tested.server.drop(PODS, "pod-1")
    tested.server.drop(JOBS, JOB_NAME)
    tested.hears()
    tested.passes(0.1)
    tested.looks()
    tested.passes(10)
    tested.looks()
    reasons = [each["reason"] for each in the_status(tested.server)["attempts"]]
    assert reasons == ["JobDeleted"]


def test_a_result_that_the_cache_lacks_is_asked_for(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.job(complete=True)
    tested.hears()
    tested.pod(exit_code=0, message=a_result())
    tested.looks()
    assert the_status(tested.server)["video"]["frames"] == 16


def test_a_result_that_is_really_gone_is_a_video_all_the_same(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.job(complete=True)
    tested.hears()
    tested.looks()
    assert the_status(tested.server)["phase"] == "Succeeded"
    assert the_status(tested.server)["outputUrl"].endswith("/video.mp4")


def a_warning(message: str) -> dict[str, Any]:
    """An Event about the Job."""
    return {
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"uid": f"job-{JOB_NAME}"},
        "message": message,
        "lastTimestamp": text(at(90)),
    }


def test_thousands_that_wait_for_a_pod_do_not_ask_why_all_at_once(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "QUESTIONS_PER_SECOND", 0.0)
    monkeypatch.setattr(reconcile, "QUESTIONS_BURST", 2)
    tested = world(status=queued())
    tested.job()
    tested.hears()
    tested.passes(60)
    tested.server.put(EVENTS, a_warning("exceeded quota: small"))
    for _ in range(20):
        tested.looks()
        tested.passes(1)
    assert tested.server.count("list", EVENTS) == 2
    status = the_status(tested.server)
    assert status["conditions"][0]["reason"] == "QuotaExceeded", "the answer is remembered"


def test_a_full_quota_is_told_and_tried_again(world: Callable[..., World]) -> None:
    tested = world()
    refusal = ClusterError(403, "Forbidden", 'jobs "x" is forbidden: exceeded quota: small')
    tested.server.refusals["create", "jobs"] = refusal
    assert "exceeded quota" in tested.tries_again()
    status = the_status(tested.server)
    assert status["conditions"][0]["reason"] == "QuotaExceeded"
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]


def test_a_webhook_that_does_not_answer_is_told_and_tried_again(
    world: Callable[..., World],
) -> None:
    tested = world(a_config_with_kueue(), spec={"queueName": "video"})
    refusal = ClusterError(500, "InternalError", 'failed calling webhook "mjob.kb.io"')
    tested.server.refusals["create", "jobs"] = refusal
    tested.tries_again()
    assert the_status(tested.server)["conditions"][0]["reason"] == "NotAnswered"
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]


def test_a_refused_change_of_the_job_is_told_and_tried_again(world: Callable[..., World]) -> None:
    tested = world(status=running(), spec={"suspend": True}, generation=2)
    tested.job()
    tested.pod(running=True)
    tested.hears()
    tested.server.refusals["patch", "jobs"] = ClusterError(403, "Forbidden", "no rights")
    tested.tries_again()
    assert the_status(tested.server)["phase"] == "Running"
    assert "no rights" in the_status(tested.server)["message"]
    tested.passes(5)
    tested.looks()
    assert the_status(tested.server)["phase"] == "Suspended"
    (job,) = tested.server.all_of(JOBS)
    assert job["spec"]["suspend"] is True


def test_something_that_changed_during_an_action_is_looked_at_again(
    world: Callable[..., World],
) -> None:
    tested = world(status=running(), spec={"suspend": True}, generation=2)
    tested.job()
    tested.hears()
    tested.server.refusals["patch", "jobs"] = ClusterError(409, "Conflict", "changed")
    tested.tries_again()
    assert the_status(tested.server)["phase"] == "Running", "and nothing is told of it"


def a_finished(world: Callable[..., World], **resource: Any) -> World:
    """The world right after the video came."""
    tested = world(status=running(), **resource)
    tested.job(complete=True)
    tested.pod(exit_code=0, message=a_result())
    tested.hears()
    tested.now = 60
    tested.looks()
    return tested


def test_the_end_is_written_with_a_record_on_the_resource(world: Callable[..., World]) -> None:
    tested = a_finished(world)
    assert the_status(tested.server)["phase"] == "Succeeded"
    (resource,) = tested.server.all_of(RESOURCES)
    record = json.loads(resource["metadata"]["annotations"][RECORD_ANNOTATION])
    assert record["phase"] == "Succeeded"
    assert tested.ended == [(Phase.RUNNING, Phase.SUCCEEDED)]
    assert tested.server.count("update", RESOURCES) == tested.server.count("patch", RESOURCES) == 1


def test_what_is_finished_costs_no_request_until_its_job_is_due(
    world: Callable[..., World],
) -> None:
    tested = a_finished(world)
    tested.server.forget_requests()
    tested.news.clear()
    tested.hears()
    assert isinstance(tested.cache.resources.get(KEY), Settled)
    assert tested.looks() == 50 + 3600 - 60
    tested.passes(3000)
    assert tested.looks() == 50 + 3600 - 3060
    assert tested.server.requests == []
    assert tested.news == []


def test_a_record_that_could_not_be_left_is_left_at_the_next_look(
    world: Callable[..., World],
) -> None:
    tested = world(status=succeeded())
    tested.server.refusals["patch", "texttovideojobs"] = ClusterError(409, "Conflict", "changed")
    tested.tries_again()
    tested.looks()
    tested.hears()
    assert isinstance(tested.cache.resources.get(KEY), Settled)


def test_a_finished_job_is_removed_in_the_foreground_after_its_ttl(
    world: Callable[..., World],
) -> None:
    tested = a_finished(world)
    tested.now = 50 + 3600
    tested.server.forget_requests()
    tested.looks()
    assert tested.server.count("get", RESOURCES) == 1, "it cannot be undone"
    (job,) = tested.server.all_of(JOBS)
    assert job["metadata"]["deletionTimestamp"]
    tested.server.forget_requests()
    assert tested.looks() is None
    assert tested.server.requests == [], "once"


def test_a_job_is_not_removed_where_its_resource_says_otherwise_by_now(
    world: Callable[..., World],
) -> None:
    tested = a_finished(world)
    tested.server.change(RESOURCES, "red-circle", spec={"ttlSecondsAfterFinished": 10**6})
    tested.now = 50 + 3600
    tested.looks()
    assert "deletionTimestamp" not in tested.server.all_of(JOBS)[0]["metadata"]


def test_a_job_that_cannot_be_removed_takes_nothing_from_the_status(
    world: Callable[..., World],
) -> None:
    tested = a_finished(world)
    before = the_status(tested.server)
    tested.now = 50 + 3600
    tested.server.refusals["delete", "jobs"] = ClusterError(403, "Forbidden", "no rights")
    tested.tries_again()
    assert the_status(tested.server)["outputUrl"] == before["outputUrl"]
    assert the_status(tested.server)["video"] == before["video"]


def test_a_job_that_only_the_cache_shows_going_is_not_removed_at_its_videos_end(
    world: Callable[..., World],
) -> None:
    tested = world(status=running())
    tested.job()
    tested.pod(not_ready_since=60)
    tested.hears()
    tested.job(complete=True)
    tested.pod(exit_code=0, message=a_result())
    tested.now = 400  # the pod of a lost node is due, and is looked at first: it has ended
    tested.looks()
    assert the_status(tested.server)["phase"] == "Succeeded"
    tested.looks()
    assert "deletionTimestamp" not in tested.server.all_of(JOBS)[0]["metadata"]


def test_after_a_change_of_leader_a_cache_that_lags_makes_no_job(
    world: Callable[..., World],
) -> None:
    tested = world()
    tested.is_current = False
    tested.server.put(RESOURCES, a_resource_document(status=succeeded()))
    tested.looks()
    assert the_jobs(tested.server) == []
    assert the_status(tested.server)["phase"] == "Succeeded"


def test_after_a_change_of_leader_what_is_really_new_gets_its_job(
    world: Callable[..., World],
) -> None:
    tested = world()
    tested.is_current = False
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]
    assert tested.server.count("get", RESOURCES) == 1


def test_a_resource_that_is_gone_by_now_gets_no_job(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.server.drop(RESOURCES, "red-circle")
    assert tested.looks() is None
    assert the_jobs(tested.server) == []


def test_a_resource_that_went_before_its_status_was_written_is_no_error(
    world: Callable[..., World],
) -> None:
    tested = world(spec={"modelId": "other"})
    tested.server.drop(RESOURCES, "red-circle")
    assert tested.looks() is None


def test_who_does_not_lead_writes_nothing_and_says_nothing(world: Callable[..., World]) -> None:
    tested = world()
    tested.server.refusals["create", "jobs"] = NotLeader("the lease is not held any more")
    with pytest.raises(NotLeader):
        tested.looks()
    assert tested.server.count("update", RESOURCES) == 0
    assert tested.told == []


def test_a_lost_status_comes_back_from_the_record_and_no_job_is_made(
    world: Callable[..., World],
) -> None:
    tested = world(record=a_record_of(succeeded()))
    tested.looks()
    assert the_status(tested.server)["phase"] == "Succeeded"
    assert the_status(tested.server)["outputUrl"] == succeeded().output_url
    assert the_jobs(tested.server) == []


def test_a_priority_of_the_queue_is_looked_for_before_the_job_is_made(
    world: Callable[..., World],
) -> None:
    spec = {"queueName": "video", "priorityClassName": "urgent"}
    tested = world(a_config_with_kueue(), spec=spec)
    assert tested.looks() == 60
    assert the_jobs(tested.server) == []
    assert "urgent" in the_status(tested.server)["message"]
    tested.server.put(WORKLOAD_PRIORITY_CLASSES, {"metadata": {"name": "urgent"}})
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]


def test_a_suspension_in_a_queue_reaches_the_workload_alone(world: Callable[..., World]) -> None:
    config, spec = a_config_with_kueue(), {"queueName": "video"}
    tested = world(config, spec=spec | {"suspend": True}, status=running(), generation=2)
    tested.job(spec=spec, config=config, suspend=False)
    workload = {
        "metadata": {
            "name": "job-x",
            "namespace": "default",
            "creationTimestamp": text(at(0)),
            "labels": {"kueue.x-k8s.io/job-uid": f"job-{JOB_NAME}"},
        },
        "spec": {"active": True},
    }
    tested.server.put(WORKLOADS, workload)
    tested.hears()
    tested.looks()
    assert tested.server.all_of(WORKLOADS)[0]["spec"]["active"] is False
    assert tested.server.all_of(JOBS)[0]["spec"]["suspend"] is False
    tested.server.change(JOBS, JOB_NAME, spec={"suspend": True})  # as Kueue does then
    tested.hears()
    tested.server.forget_requests()
    tested.looks()
    assert tested.server.requests == [], "it is done once"


def test_a_pod_of_a_lost_node_is_failed_and_then_gone(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.job()
    tested.pod(not_ready_since=60)
    tested.hears()
    seen: dict[str, Any] = {}
    delete = tested.server.delete

    async def deletes(kind: Any, namespace: str, name: str, options: Any) -> Any:
        seen.update(tested.server.objects[kind, namespace, name]["status"])
        assert options["gracePeriodSeconds"] == 0
        return await delete(kind, namespace, name, options)

    tested.server.delete = deletes  # type: ignore[method-assign]
    tested.now = 360
    tested.looks()
    assert tested.server.all_of(PODS) == []
    assert seen["phase"] == "Failed", "or the Job would wait for it for ever"
    assert [each["type"] for each in seen["conditions"]] == ["DisruptionTarget"]


def test_a_node_that_answers_by_now_keeps_its_pod(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.job()
    tested.pod(not_ready_since=60)
    tested.hears()
    tested.pod(running=True)
    tested.now = 360
    tested.looks()
    assert len(tested.server.all_of(PODS)) == 1


def test_an_edit_starts_the_new_video_when_the_old_pod_is_gone(world: Callable[..., World]) -> None:
    tested = world(status=running())
    tested.job()
    tested.pod(running=True)
    tested.server.change(
        RESOURCES, "red-circle", spec={"prompt": "a blue circle"}, metadata={"generation": 2}
    )
    tested.hears()
    tested.looks()
    tested.looks()
    (old,) = tested.server.all_of(JOBS)
    assert old["metadata"]["name"] == JOB_NAME
    assert old["metadata"]["deletionTimestamp"], "it goes when its pod has gone"
    tested.hears()
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]
    tested.server.drop(PODS, "pod-1")
    tested.server.drop(JOBS, JOB_NAME)
    tested.hears()
    tested.looks()
    (new,) = the_jobs(tested.server)
    assert new != JOB_NAME


def test_a_video_that_ran_out_of_memory_starts_in_a_larger_pool_when_the_old_pod_is_gone(
    world: Callable[..., World],
) -> None:
    pools = ({"name": "default", "gpuMemory": "24Gi"}, {"name": "large", "gpuMemory": "80Gi"})
    tested = world(a_config_of_pools(*pools), status=running())
    tested.job(failed="PodFailurePolicy")
    tested.pod(exit_code=4, message=a_failure(Reason.OUT_OF_MEMORY))
    for _ in range(3):
        tested.hears()
        tested.looks()
        (old,) = tested.server.all_of(JOBS)
        assert old["metadata"]["deletionTimestamp"], "it goes when its pod has gone"
        assert the_status(tested.server)["phase"] == "Pending"
    tested.server.drop(PODS, "pod-1")
    tested.server.drop(JOBS, JOB_NAME)
    tested.hears()
    status = tested.looks_until_it_is_written()
    (new,) = tested.server.all_of(JOBS)
    assert new["metadata"]["name"] == JOB_NAME
    assert new["metadata"]["labels"][POOL_LABEL] == status["pool"] == "large"
    assert [each["reason"] for each in status["attempts"]] == ["OutOfMemory"]
    assert tested.told == ["LargerPool", "JobRemoved", "JobCreated"]


def test_what_is_silent_is_asked_about_in_the_clusters_events(
    world: Callable[..., World],
) -> None:
    tested = world(status=queued())
    tested.job()
    tested.hears()
    tested.server.put(EVENTS, a_warning("violates PodSecurity"))
    assert tested.looks_until_it_is_written()["message"].endswith("violates PodSecurity")


def test_a_job_that_vanished_unheard_is_noticed_with_the_next_list(
    world: Callable[..., World],
) -> None:
    tested = world(status=running())
    tested.job()
    tested.hears()
    tested.news.clear()
    tested.server.drop(JOBS, JOB_NAME)
    tested.hears()
    assert tested.news == [KEY]


def test_what_somebody_else_did_to_the_job_is_heard_though_our_patch_was_answered_with_it(
    world: Callable[..., World],
) -> None:
    """The Job ended just before it was to be suspended: the answer says so, to nobody."""
    tested = world(status=running(), spec={"suspend": True}, generation=2)
    tested.job()
    tested.pod(exit_code=0, message=a_result())
    tested.hears()
    tested.job(complete=True)
    tested.news.clear()
    tested.looks()
    assert tested.server.count("patch", JOBS) == 1
    tested.hears()
    assert tested.news == [KEY]
    tested.looks()
    assert the_status(tested.server)["phase"] == "Succeeded"


def a_foreign_job() -> dict[str, Any]:
    document = a_job_document(owner_uid="")
    del document["metadata"]["labels"]
    return document


def test_a_foreign_job_without_our_label_that_goes_lets_the_video_go_on_at_the_next_look(
    world: Callable[..., World],
) -> None:
    """No watch of ours hears of it."""
    tested = world()
    tested.server.put(JOBS, a_foreign_job())
    again = tested.looks()
    assert again
    tested.passes(again)
    again = tested.looks()
    assert the_status(tested.server)["conditions"][0]["reason"] == "JobNameTaken"
    assert again
    tested.server.drop(JOBS, JOB_NAME)
    tested.passes(again)
    tested.looks()
    (job,) = tested.server.all_of(JOBS)
    assert job["metadata"]["labels"][JOB_LABEL] == "red-circle"


def test_a_foreign_job_that_was_there_long_ago_is_told_and_goes_on_being_told(
    world: Callable[..., World],
) -> None:
    tested = world()
    tested.server.put(JOBS, a_foreign_job())
    tested.hears()  # of others: the cache is newer than that Job
    reasons = []
    for _ in range(8):
        tested.passes(tested.looks() or 0)
        status = the_status(tested.server)
        reasons.append(status["conditions"][0]["reason"] if "conditions" in status else "")
    assert reasons[-3:] == ["JobNameTaken"] * 3
    assert tested.told.count("JobCreated") == 0, "there is none"


def a_blue_one(tested: World, prompt: str, generation: int) -> None:
    tested.server.change(
        RESOURCES, "red-circle", spec={"prompt": prompt}, metadata={"generation": generation}
    )


def test_an_edit_back_while_the_earlier_job_is_being_deleted_is_no_attempt(
    world: Callable[..., World],
) -> None:
    once = {"backoffLimit": 0}
    tested = world(status=running(), spec=once)
    tested.job(spec=once)
    tested.pod(running=True)
    a_blue_one(tested, "a blue circle", 2)
    tested.hears()
    tested.looks()
    a_blue_one(tested, "a red circle", 3)
    tested.hears()
    tested.looks()
    tested.server.drop(PODS, "pod-1")
    tested.server.drop(JOBS, JOB_NAME)
    tested.hears()
    tested.passes(30)
    tested.looks_until_it_is_written()
    assert the_jobs(tested.server) == [JOB_NAME]
    assert the_status(tested.server)["phase"] == "Queued"
    attempts = the_status(tested.server).get("attempts", [])
    assert "JobDeleted" not in [each.get("reason") for each in attempts]


def test_an_edit_back_that_came_before_the_deletion_was_written_down_is_no_attempt(
    world: Callable[..., World],
) -> None:
    once = {"backoffLimit": 0}
    tested = world(status=running(), spec=once)
    tested.job(spec=once)
    tested.pod(running=True)
    a_blue_one(tested, "a blue circle", 2)
    tested.hears()
    delete = tested.server.delete

    async def deletes(*arguments: Any) -> Any:
        answer = await delete(*arguments)
        a_blue_one(tested, "a red circle", 3)
        return answer

    tested.server.delete = deletes  # type: ignore[method-assign,assignment]
    tested.looks()
    tested.hears()
    tested.looks()
    tested.server.drop(PODS, "pod-1")
    tested.server.drop(JOBS, JOB_NAME)
    tested.hears()
    tested.passes(30)
    tested.looks_until_it_is_written()
    assert the_status(tested.server)["phase"] == "Queued"
    assert the_jobs(tested.server) == [JOB_NAME]


def a_changed_status() -> TextToVideoJobStatus:
    """What the leader before wrote when it saw an edit and removed the earlier Job."""
    return a_status(
        spec={"prompt": "a blue circle"},
        status=running(),
        earlier_jobs=(a_job_seen(),),
        generation=2,
    )


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(running(), id="the edit was not seen"),
        pytest.param(a_changed_status(), id="the edit was seen"),
    ],
)
def test_after_a_change_of_leader_an_edit_makes_no_second_job_before_the_earlier_is_gone(
    world: Callable[..., World], status: TextToVideoJobStatus
) -> None:
    """The cache does not show the earlier one yet."""
    tested = world(status=status, spec={"prompt": "a blue circle"}, generation=2)
    tested.is_current = False
    tested.job()
    tested.pod(running=True)
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]
    assert tested.server.all_of(JOBS)[0]["metadata"]["deletionTimestamp"]
    tested.server.drop(PODS, "pod-1")
    tested.server.drop(JOBS, JOB_NAME)
    tested.hears()
    tested.looks()
    (new,) = the_jobs(tested.server)
    assert new != JOB_NAME


def test_a_ttl_of_thirty_thousand_years_is_no_error(world: Callable[..., World]) -> None:
    tested = a_finished(world, spec={"ttlSecondsAfterFinished": 10**12})
    assert tested.looks() == 50 + 10**12 - 60
    tested.passes(10**8)
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]


def test_without_a_turn_the_record_is_left_before_the_job_goes(
    world: Callable[..., World],
) -> None:
    """It says what came of it when both the Job and the status are gone."""
    tested = world(status=running(), spec={"ttlSecondsAfterFinished": 0})
    tested.job(complete=True)
    tested.pod(exit_code=0, message=a_result())
    tested.hears()
    for other in range(200):
        tested.reconciler._pace.wait_seconds(("default", f"other-{other}"))
    for _ in range(4):
        tested.looks()
        tested.hears()
    writes = [each for each in tested.server.requests if each[0] in ("update", "patch", "delete")]
    assert writes == [
        ("update", "texttovideojobs"),
        ("patch", "texttovideojobs"),
        ("delete", "jobs"),
    ]
    (resource,) = tested.server.all_of(RESOURCES)
    assert resource["status"]["phase"] == "Succeeded"
    assert RECORD_ANNOTATION in resource["metadata"]["annotations"]


def test_the_progress_of_a_pod_that_failed_is_not_shown_on_the_next(
    world: Callable[..., World],
) -> None:
    tested = world(status=running())
    tested.job()
    tested.pod(running=True)
    tested.hears()
    said = Progress(stage=Stage.DENOISE, step=20, steps=25, percent=80, updated_time=at(100))
    tested.cache.report(KEY, "pod-1", said)
    tested.looks()
    assert the_status(tested.server)["progress"]["percent"] == 80
    tested.pod(exit_code=1)
    tested.pod("pod-2", running=True, made=120)
    tested.hears()
    tested.passes(30)
    tested.looks()
    assert "pod-2" in the_status(tested.server)["message"]
    assert the_status(tested.server).get("progress", {}).get("percent", 0) < 80

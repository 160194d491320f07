"""Which objects belong to which resource, and which of their changes are worth a look."""

from typing import Any

import pytest
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import Reason
from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES, WORKLOADS
from t2v_operator.core.decide import decide
from t2v_operator.core.observed import ObservedResource, Settled

from tests.unit.builders import a_config
from tests.unit.cluster.api_server import ApiServer
from tests.unit.observations import (
    JOB_NAME,
    a_job_document,
    a_pod_document,
    a_record_of,
    a_resource_document,
    a_resource_seen,
    a_result,
    at,
    succeeded,
    text,
)

KEY = ("default", "red-circle")
JOB_UID = f"job-{JOB_NAME}"


class Watched:
    """A cache that hears of each change at once."""

    def __init__(self, with_workloads: bool = True) -> None:
        self.news: list[Any] = []
        self.server = ApiServer()
        client: Any = self.server
        self.batched: list[Any] = []
        self.cache = Cache(client, (), with_workloads, self._hear)

    def _hear(self, key: Any, more_follows: bool = False) -> None:
        self.news.append(key)
        if more_follows:
            self.batched.append(key)

    def put(self, kind: Any, document: dict[str, Any]) -> None:
        self.cache.stores[kind].event("MODIFIED", self.server.put(kind, document), None)

    def drop(self, kind: Any, name: str) -> None:
        document = self.server.objects[kind, "default", name]
        self.server.drop(kind, name)
        metadata = document["metadata"] | {"resourceVersion": str(self.server.version)}
        self.cache.stores[kind].event("DELETED", {**document, "metadata": metadata}, None)

    @property
    def observed(self) -> Any:
        resource = self.cache.resources.get(KEY)
        assert isinstance(resource, ObservedResource)
        return self.cache.observe(KEY, resource, at(0))


def a_workload_document(job_uid: str = JOB_UID, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "job-x",
            "namespace": "default",
            "creationTimestamp": text(at(0)),
            "labels": {"kueue.x-k8s.io/job-uid": job_uid},
        },
        "spec": spec,
    }


@pytest.fixture
def watched() -> Watched:
    """A resource with its Job, its pod and its Workload."""
    tested = Watched()
    tested.put(RESOURCES, a_resource_document())
    tested.put(JOBS, a_job_document())
    tested.put(PODS, a_pod_document())
    tested.put(WORKLOADS, a_workload_document())
    tested.news.clear()
    tested.batched.clear()
    return tested


def test_a_resource_is_seen_with_its_job_pods_and_workload(watched: Watched) -> None:
    observed = watched.observed
    assert observed.job.name == JOB_NAME
    assert [pod.name for pod in observed.pods] == ["pod-1"]
    assert observed.workload.name == "job-x"
    assert observed.earlier_jobs == ()


def test_a_job_of_another_request_is_an_earlier_one_with_its_pods(watched: Watched) -> None:
    spec = {"prompt": "a blue circle"}
    watched.put(RESOURCES, a_resource_document(spec=spec, generation=2))
    observed = watched.observed
    assert observed.job is None
    assert [job.name for job in observed.earlier_jobs] == [JOB_NAME]
    assert [pod.name for pod in observed.earlier_pods] == ["pod-1"]


def test_a_job_of_a_deleted_resource_of_this_name_is_no_earlier_one(watched: Watched) -> None:
    watched.put(RESOURCES, a_resource_document(spec={"prompt": "a blue circle"}))
    watched.put(JOBS, a_job_document(owner_uid="uid-of-the-deleted"))
    assert watched.observed.earlier_jobs == ()


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        pytest.param(RESOURCES, a_resource_document(generation=2), id="the resource"),
        pytest.param(JOBS, a_job_document(complete=True), id="its Job"),
        pytest.param(PODS, a_pod_document(running=True), id="its pod"),
        pytest.param(WORKLOADS, a_workload_document(active=False), id="its Workload"),
    ],
)
def test_a_change_of_anything_of_it_is_news_of_the_resource(
    watched: Watched, kind: Any, document: dict[str, Any]
) -> None:
    watched.put(kind, document)
    assert watched.news == [KEY]


@pytest.mark.parametrize(
    ("kind", "name"), [(JOBS, JOB_NAME), (PODS, "pod-1"), (WORKLOADS, "job-x")], ids=str
)
def test_so_is_its_end(watched: Watched, kind: Any, name: str) -> None:
    watched.drop(kind, name)
    assert watched.news == [KEY]


def test_only_news_of_what_goes_on_may_wait_for_more(watched: Watched) -> None:
    watched.put(PODS, a_pod_document(running=True))
    assert watched.batched == [KEY]
    watched.put(RESOURCES, a_resource_document(generation=2))
    watched.put(JOBS, a_job_document(complete=True))
    watched.drop(JOBS, JOB_NAME)
    assert watched.news == [KEY] * 4
    assert watched.batched == [KEY]


def test_what_says_nothing_that_decisions_rest_on_is_no_news(watched: Watched) -> None:
    watched.put(JOBS, a_job_document())
    pod = a_pod_document()
    pod["status"]["podIP"] = "10.0.0.1"
    watched.put(PODS, pod)
    assert watched.news == []


def test_a_pod_that_is_seen_before_its_job_is_found_with_it() -> None:
    tested = Watched()
    tested.put(RESOURCES, a_resource_document())
    tested.put(PODS, a_pod_document())
    tested.news.clear()
    tested.put(JOBS, a_job_document())
    assert tested.news == [KEY]
    assert [pod.name for pod in tested.observed.pods] == ["pod-1"]


def test_a_pod_that_goes_after_its_job_leaves_nothing_behind(watched: Watched) -> None:
    watched.drop(JOBS, JOB_NAME)
    watched.drop(PODS, "pod-1")
    again = a_job_document()
    again["metadata"]["uid"] = "another"
    watched.put(JOBS, again)
    assert watched.observed.job.uid == "another"
    assert watched.observed.pods == ()


def test_a_pod_that_went_before_anyone_looked_is_seen_as_it_was_at_its_end(
    watched: Watched,
) -> None:
    """So is one on a lost node that was given up: else it is no attempt, and nothing counts it."""
    watched.put(PODS, a_pod_document(running=True))
    lost = a_pod_document(phase="Failed", disruption_reason="NodeLost")
    watched.server.put(PODS, lost)  # heard only with its deletion
    watched.drop(PODS, "pod-1")
    (pod,) = watched.observed.pods
    assert pod.is_over
    assert pod.node_was_lost
    status = decide(watched.observed, a_config()).status
    assert status
    assert status.attempts[0].reason is Reason.NODE_LOST
    assert status.disruptions == 1


def test_pods_that_went_are_forgotten_with_their_job(watched: Watched) -> None:
    watched.put(PODS, a_pod_document(running=True))
    watched.drop(PODS, "pod-1")
    watched.drop(JOBS, JOB_NAME)
    watched.put(JOBS, a_job_document())
    assert watched.observed.pods == ()


def test_pods_are_seen_from_the_oldest_to_the_latest(watched: Watched) -> None:
    watched.put(PODS, a_pod_document("a-later", made=60))
    assert [pod.name for pod in watched.observed.pods] == ["pod-1", "a-later"]


def test_a_job_is_known_by_its_resource(watched: Watched) -> None:
    assert watched.cache.owner_of("default", JOB_UID) == KEY
    assert watched.cache.owner_of("elsewhere", JOB_UID) is None


def test_a_finished_resource_is_kept_as_a_line(watched: Watched) -> None:
    document = a_resource_document(status=succeeded(), record=a_record_of(succeeded()))
    watched.put(RESOURCES, document)
    assert isinstance(watched.cache.resources.get(KEY), Settled)
    assert watched.cache.resource_keys() == [KEY]


def test_finished_videos_of_the_model_are_remembered_for_their_times(watched: Watched) -> None:
    assert watched.observed.earlier_runs == ()
    document = a_resource_document(
        status=succeeded(), record=a_record_of(succeeded(), name="earlier"), name="earlier"
    )
    watched.put(RESOURCES, document)
    watched.put(RESOURCES, document)
    (run,) = watched.observed.earlier_runs
    assert (run.pool, run.timings) == ("default", {"start": 1.0})
    other = a_resource_seen(spec={"modelId": "other"})
    assert watched.cache.observe(KEY, other, at(0)).earlier_runs == ()


def elsewhere(document: dict[str, Any]) -> dict[str, Any]:
    """The same in another namespace, whose users may write there whatever they like."""
    document["metadata"]["namespace"] = "elsewhere"
    return document


def forget(watched: Watched, kind: Any, name: str) -> None:
    document = watched.server.objects[kind, "elsewhere", name]
    watched.server.version += 1
    document["metadata"]["resourceVersion"] = str(watched.server.version)
    watched.cache.stores[kind].event("DELETED", document, None)


def test_a_pod_of_another_namespace_with_the_jobs_uid_is_not_believed(watched: Watched) -> None:
    watched.put(PODS, elsewhere(a_pod_document("forged", exit_code=0, message=a_result())))
    assert [pod.name for pod in watched.observed.pods] == ["pod-1"]
    watched.put(PODS, elsewhere(a_pod_document("forged", running=True)))
    assert [pod.name for pod in watched.observed.pods] == ["pod-1"]
    forget(watched, PODS, "forged")
    assert [pod.name for pod in watched.observed.pods] == ["pod-1"], "nor when it is gone"
    assert watched.news == []


def test_a_workload_of_another_namespace_with_the_jobs_uid_is_not_believed(
    watched: Watched,
) -> None:
    forged = elsewhere(a_workload_document(active=False))
    forged["metadata"]["name"] = "forged"
    watched.put(WORKLOADS, forged)
    assert watched.observed.workload.name == "job-x"
    forget(watched, WORKLOADS, "forged")
    assert watched.observed.workload.name == "job-x", "nor when it is gone"
    assert watched.news == []


def test_a_job_of_another_namespace_is_none_of_the_resource(watched: Watched) -> None:
    forged = elsewhere(a_job_document(complete=True))
    watched.put(JOBS, forged)
    assert not watched.observed.job.is_complete
    assert KEY not in watched.news
    watched.news.clear()
    watched.put(PODS, a_pod_document(running=True))
    assert watched.news == [KEY], "and it takes nothing from it"


def test_progress_of_an_earlier_pod_is_not_that_of_the_next(watched: Watched) -> None:
    watched.put(PODS, a_pod_document(running=True))
    said = Progress(stage=Stage.DENOISE, step=3, steps=25, percent=12, updated_time=at(10))
    watched.cache.report(KEY, "pod-1", said)
    assert watched.observed.progress == said
    watched.put(PODS, a_pod_document(exit_code=1))
    assert watched.observed.progress is None
    watched.put(PODS, a_pod_document("pod-2", running=True, made=60))
    assert watched.observed.progress is None
    watched.cache.report(KEY, "pod-1", said)
    assert watched.observed.progress is None, "nor what comes late of it"
    watched.cache.report(KEY, "pod-2", said)
    assert watched.observed.progress == said


def test_workloads_are_not_watched_where_kueue_is_not_used() -> None:
    assert WORKLOADS not in Watched(with_workloads=False).cache.stores

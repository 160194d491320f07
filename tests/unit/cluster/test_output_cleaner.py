"""Files go with their resource where it says so, nobody else's do, and none holds it for ever."""

import asyncio
from typing import Any

import pytest
from t2v_api.resource import TextToVideoJobStatus
from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.errors import TryAgain
from t2v_operator.cluster.kinds import JOBS, RESOURCES
from t2v_operator.cluster.output_cleaner import OutputCleaner
from t2v_operator.cluster.output_files import OutputFiles
from t2v_operator.cluster.reuse import Reuse
from t2v_operator.core.names import OUTPUT_FINALIZER, OUTPUT_URL_ANNOTATION
from t2v_operator.delivery.stores import StoreUnavailable

from tests.unit.builders import a_config_with_a_store
from tests.unit.cluster.api_server import ApiServer
from tests.unit.observations import (
    a_job_document,
    a_job_seen,
    a_record_of,
    a_resource_document,
    a_status,
    at,
    running,
    succeeded,
    text,
)

KEY = ("default", "red-circle")
FOLDER = "f" * 64
PLACE = f"videos/default/{FOLDER}"
DELETE = {"outputPolicy": "Delete"}


class World:
    """A resource with a video in a store, and a cleaner."""

    def __init__(self) -> None:
        self.now = 100.0
        self.removed: list[str] = []
        self.told: list[str] = []
        self.left = 0
        self.is_away = False
        self.server = ApiServer(lambda: at(self.now))
        client: Any = self.server
        store: Any = self
        recorder: Any = self
        self.cache = Cache(client, (), with_workloads=False, news=lambda *_, **__: None)
        self.reuse = Reuse(self.cache, store, a_config_with_a_store())
        effects = Effects(client, self.cache)
        files = OutputFiles(self.cache, effects, store, self.reuse, a_config_with_a_store())
        self.cleaner = OutputCleaner(
            client, self.cache, effects, files, recorder, self._count, lambda: at(self.now)
        )

    def _count(self) -> None:
        self.left += 1

    async def remove(self, keys: list[str]) -> None:
        if self.is_away:
            raise StoreUnavailable("the store: ClientError")
        self.removed += keys

    def tell(self, _: Any, notice: Any, __: Any) -> None:
        self.told.append(notice.reason)

    def has(self, deleted: float | None = None, finalizer: bool = True, **spec: Any) -> None:
        url = f"https://v.example.com/{PLACE}/video.mp4?expires=1&signature=a"
        status = succeeded().model_copy(update={"output": (url,), "output_url": url})
        document = a_resource_document(spec=spec, status=status, record=a_record_of(status))
        if finalizer:
            document["metadata"]["finalizers"] = ["somebody.else/one", OUTPUT_FINALIZER]
        if deleted is not None:
            document["metadata"]["deletionTimestamp"] = text(at(deleted))
        self.put(document)

    def put(self, document: dict[str, Any], kind: Any = RESOURCES) -> None:
        self.server.put(kind, document)
        store = self.cache.stores[kind]
        documents = self.server.all_of(kind)
        store.sweep(store.page(documents, self.server.version, None), self.server.version, None)

    def work(self) -> float | None:
        return asyncio.run(self.cleaner._work(KEY))

    @property
    def is_wanted(self) -> bool:
        self.cleaner._queue = type(self.cleaner._queue)(self.cleaner._work)
        self.cleaner.consider(KEY)
        return self.cleaner._queue.depth > 0

    @property
    def finalizers(self) -> list[str]:
        found: list[str] = self.server.objects[RESOURCES, *KEY]["metadata"].get("finalizers", [])
        return found


def test_the_finalizer_is_there_where_files_go_with_the_resource_alone() -> None:
    world = World()
    world.has(finalizer=False)
    assert not world.is_wanted
    world.has(finalizer=False, **DELETE)
    assert world.is_wanted
    world.work()
    assert world.finalizers == [OUTPUT_FINALIZER]
    assert not world.is_wanted
    world.has(outputPolicy="Retain")
    assert world.is_wanted
    world.work()
    assert world.finalizers == ["somebody.else/one"]
    assert world.removed == []


def test_a_deletion_takes_the_files_first_and_the_record_before_them() -> None:
    world = World()
    world.has(deleted=99, **DELETE)
    assert world.is_wanted
    world.work()
    names = [key.removeprefix(f"{PLACE}/") for key in world.removed]
    assert names == [
        "result.json",
        "video.mp4",
        "poster.jpg",
        "preview.webp",
        "checkpoint.safetensors",
    ]
    assert world.finalizers == ["somebody.else/one"]


def cancelled() -> TextToVideoJobStatus:
    return a_status(spec={"cancel": True, **DELETE}, status=running(), job=a_job_seen())


def test_what_a_cancelled_video_has_left_goes_too_though_its_job_is_long_gone() -> None:
    world, status = World(), cancelled()
    spec = {"cancel": True, **DELETE}
    document = a_resource_document(spec=spec, status=status, record=a_record_of(status))
    document["metadata"] |= {
        "finalizers": [OUTPUT_FINALIZER],
        "deletionTimestamp": text(at(99)),
    }
    world.put(document)
    world.work()
    # A video in that place would be one that somebody else kept.
    folder = folder_of_the_request()
    assert world.removed == [f"videos/default/{folder}/checkpoint.safetensors"]
    assert world.finalizers == []


def folder_of_the_request() -> str:
    plan = a_job_seen().plan
    assert plan
    return plan.output_url.rpartition("/")[2]


def test_a_video_that_another_resource_has_stays() -> None:
    world = World()
    world.has(deleted=99, **DELETE)
    url = f"https://v.example.com/{PLACE}/video.mp4?expires=2&signature=b"
    status = succeeded().model_copy(update={"output": (url,), "output_url": url})
    other = a_resource_document(status=status, record=a_record_of(status))
    other["metadata"] |= {"name": "twin", "uid": "twin"}
    world.put(other)
    world.work()
    assert (world.removed, world.finalizers) == ([], ["somebody.else/one"])


def test_a_video_that_another_resource_makes_just_now_stays() -> None:
    world = World()
    world.has(deleted=99, **DELETE)
    other = a_resource_document(status=running())
    other["metadata"] |= {"name": "twin", "uid": "twin"}
    world.put(other)
    job = a_job_document(owner_uid="twin")
    job["metadata"] |= {"name": "twin-1", "uid": "job-twin"}
    job["metadata"]["ownerReferences"][0]["name"] = "twin"
    job["metadata"]["annotations"][OUTPUT_URL_ANNOTATION] = f"store://{PLACE}"
    world.put(job, JOBS)
    world.work()
    assert (world.removed, world.finalizers) == ([], ["somebody.else/one"])


def test_a_video_that_another_resource_is_looking_for_is_waited_for() -> None:
    world = World()
    world.has(deleted=99, **DELETE)
    world.reuse._claims[f"store://{PLACE}"] = ("default", "twin")
    with pytest.raises(TryAgain, match="looks for this very video"):
        world.work()
    world.reuse._claims.clear()
    world.work()
    assert world.removed


def test_a_job_that_could_still_upload_goes_first() -> None:
    world = World()
    job = a_job_document()
    job["metadata"]["annotations"][OUTPUT_URL_ANNOTATION] = f"store://{PLACE}"
    world.put(job, JOBS)
    world.has(deleted=99, **DELETE)
    for _ in range(2):
        with pytest.raises(TryAgain, match="its Job is still being removed"):
            world.work()
    assert world.removed == []
    world.cache.stores[JOBS].sweep({}, world.server.version, None)
    assert world.work() is None
    assert world.removed


def test_a_job_that_does_not_go_holds_the_resource_for_ten_minutes_alone() -> None:
    """Its pod may stand on a node that does not come back."""
    world = World()
    job = a_job_document()
    job["metadata"]["annotations"][OUTPUT_URL_ANNOTATION] = f"store://{PLACE}"
    job["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    world.put(job, JOBS)
    world.has(deleted=100, **DELETE)
    with pytest.raises(TryAgain):
        world.work()
    world.now += 601
    world.work()
    assert world.finalizers == ["somebody.else/one"]
    assert world.server.count("delete", JOBS) == 0, "it is being deleted already"
    assert world.removed


def test_a_store_that_stays_away_holds_the_resource_for_ten_minutes_alone() -> None:
    world = World()
    world.is_away = True
    world.has(deleted=100, **DELETE)
    with pytest.raises(TryAgain):
        world.work()
    assert OUTPUT_FINALIZER in world.finalizers
    world.now += 601
    world.work()
    assert world.finalizers == ["somebody.else/one"]
    assert (world.told, world.left) == (["OutputNotRemoved"], 1)


def test_what_a_status_names_in_another_namespace_is_not_removed() -> None:
    world = World()
    world.has(deleted=99, **DELETE)
    document = world.server.objects[RESOURCES, *KEY]
    document["status"]["output"] = [f"store://videos/elsewhere/{FOLDER}/video.mp4"]
    world.put(document)
    world.work()
    assert all(key.startswith("videos/default/") for key in world.removed)

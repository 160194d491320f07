"""A checkpoint stays as long as somebody may go on from it, and no longer."""

import asyncio
from typing import Any

import pytest
from t2v_api.resource import Phase
from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.checkpoint_cleaner import CheckpointCleaner
from t2v_operator.cluster.errors import TryAgain
from t2v_operator.cluster.kinds import JOBS, RESOURCES
from t2v_operator.core.names import OUTPUT_URL_ANNOTATION
from t2v_operator.delivery.stores import StoreUnavailable

from tests.unit.builders import a_config_with_a_store
from tests.unit.cluster.api_server import ApiServer
from tests.unit.observations import (
    JOB_NAME,
    a_job_document,
    a_record_of,
    a_resource_document,
    running,
    succeeded,
)

FOLDER = "f" * 64
CHECKPOINT = f"videos/default/{FOLDER}/checkpoint.safetensors"


class World:
    """A resource and its Job, and a cleaner that hears of it."""

    def __init__(self) -> None:
        self.removed: list[str] = []
        self.is_away = False
        self.server = ApiServer()
        client: Any = self.server
        store: Any = self
        self.cache = Cache(
            client,
            (),
            with_workloads=False,
            news=lambda *_, **__: None,
            job_over=lambda owner, job: self.cleaner.over(owner, job),
        )
        self.cleaner = CheckpointCleaner(self.cache, store, a_config_with_a_store())

    async def remove(self, keys: list[str]) -> None:
        if self.is_away:
            raise StoreUnavailable("the store: ClientError")
        self.removed += keys

    def has(self, name: str = "red-circle", **resource: Any) -> None:
        self.put(RESOURCES, a_resource_document(name=name, **resource))

    def has_job(self, name: str = "", **job: Any) -> None:
        document = a_job_document(**job)
        document["metadata"]["annotations"][OUTPUT_URL_ANNOTATION] = (
            f"store://videos/default/{FOLDER}"
        )
        if name:
            owner = document["metadata"]["ownerReferences"][0] | {"name": name, "uid": name}
            document["metadata"] |= {
                "name": f"{name}-1",
                "uid": f"job-{name}",
                "ownerReferences": [owner],
            }
        self.put(JOBS, document)

    def put(self, kind: Any, document: dict[str, Any]) -> None:
        self.cache.stores[kind].event("MODIFIED", self.server.put(kind, document), None)

    def drop(self, kind: Any, name: str) -> None:
        document = self.server.objects[kind, "default", name]
        self.server.drop(kind, name)
        metadata = document["metadata"] | {"resourceVersion": str(self.server.version)}
        self.cache.stores[kind].event("DELETED", {**document, "metadata": metadata}, None)

    def drop_job(self) -> None:
        self.drop(JOBS, JOB_NAME)

    def work(self) -> list[str]:
        """What is removed by now."""

        async def all_of_it() -> None:
            while not self.cleaner._queue._ready.empty():
                await self.cleaner._work(self.cleaner._queue._ready.get_nowait())

        asyncio.run(all_of_it())
        return self.removed


@pytest.fixture
def world() -> World:
    made = World()
    made.has(status=running())
    made.has_job()
    return made


def test_it_goes_when_the_video_is_there(world: World) -> None:
    assert world.work() == []
    world.has(status=succeeded())
    world.has_job(complete=True)
    assert world.work() == [CHECKPOINT]


def test_it_goes_though_the_job_is_complete_before_the_status_says_so(world: World) -> None:
    world.has_job(complete=True)
    assert world.work() == [CHECKPOINT]


def test_it_goes_with_the_job_that_nobody_saw_complete(world: World) -> None:
    status = succeeded()
    world.has(status=status, record=a_record_of(status))  # settled
    world.drop_job()
    assert world.work() == [CHECKPOINT]


def test_it_stays_while_a_job_is_made_anew_for_the_same_request(world: World) -> None:
    world.drop_job()
    assert world.work() == []


def test_it_stays_for_a_failed_request_that_may_be_tried_again(world: World) -> None:
    world.has(status=succeeded().model_copy(update={"phase": Phase.FAILED}))
    world.has_job(failed="BackoffLimitExceeded")
    world.drop_job()
    assert world.work() == []


def test_it_stays_when_the_job_of_an_earlier_try_goes(world: World) -> None:
    tried = running().model_copy(update={"retry_tokens": ("2", "3"), "job_name": "of-the-third"})
    world.has(spec={"retryToken": "3"}, status=tried)
    world.drop_job()
    assert world.work() == []


def test_it_goes_with_a_request_that_is_another_by_now(world: World) -> None:
    world.has(spec={"prompt": "a blue square"}, status=running(), generation=2)
    world.drop_job()
    assert world.work() == [CHECKPOINT]


def test_it_goes_with_the_resource(world: World) -> None:
    world.drop(RESOURCES, "red-circle")
    assert world.work() == []  # its pods may still run
    world.drop_job()
    assert world.work() == [CHECKPOINT]


def test_it_goes_with_a_resource_that_waits_for_its_own_end(world: World) -> None:
    world.has(status=running(), deleting=True)
    world.drop_job()
    assert world.work() == [CHECKPOINT]


def test_it_stays_while_another_resource_makes_the_same_video(world: World) -> None:
    world.has_job("another")
    world.drop(RESOURCES, "red-circle")
    world.drop_job()
    assert world.work() == []
    world.drop(JOBS, "another-1")
    assert world.work() == [CHECKPOINT]


def test_a_suspended_job_keeps_it(world: World) -> None:
    world.has_job(suspend=True)
    (job,) = world.cache.jobs_of(("default", "red-circle"))
    world.cleaner.over(("default", "red-circle"), job)
    assert world.work() == []


def test_a_store_that_is_away_is_asked_again(world: World) -> None:
    world.is_away = True
    world.has(status=succeeded())
    world.has_job(complete=True)
    with pytest.raises(TryAgain):
        world.work()


def test_a_job_that_names_a_place_of_others_leads_to_nothing(world: World) -> None:
    document = a_job_document(complete=True)
    document["metadata"]["annotations"][OUTPUT_URL_ANNOTATION] = f"store://videos/other/{FOLDER}"
    world.has(status=succeeded())
    world.put(JOBS, document)
    assert world.work() == []

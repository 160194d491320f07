"""A video that is in the store, or on its way there, is not made again."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from t2v_api.delivery import RECORD_FILE, FileToUpload, Grant
from t2v_api.result import read_outcome
from t2v_operator.cluster.errors import TryAgain
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES, SECRETS
from t2v_operator.core.names import OUTPUT_URL_ANNOTATION
from t2v_operator.delivery.stores import StoredFile, StoreUnavailable

from tests.unit.api_keys import FAST, SLOW, a_key_secret
from tests.unit.builders import a_config, a_config_with_a_store
from tests.unit.cluster.api_server import the_jobs
from tests.unit.cluster.test_reconcile import KEY, World
from tests.unit.cluster.test_resource_keys import a_secret
from tests.unit.observations import (
    a_pod_document,
    a_record_of,
    a_resource_document,
    a_result,
    at,
    running,
    succeeded,
)

OTHER = ("default", "the-other")
EXPLICIT: dict[str, Any] = {"seed": 7}
DRAWN: dict[str, Any] = {"seed": None}


class FakeStore:
    """Files by key; the record of each video that it holds is whole."""

    prefix = "videos"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.is_away = False

    def holds(self, folder: str, *notices: str) -> None:
        record = read_outcome(a_result(*notices))
        size = record.video.bytes  # type: ignore[union-attr]
        self.files[f"{folder}/{RECORD_FILE}"] = record.json_line().encode()
        for name in record.output:  # type: ignore[union-attr]
            self.files[f"{folder}/{name}"] = b"x" * size

    async def grant(self, key: str, file: FileToUpload) -> Grant:
        raise NotImplementedError

    async def grant_to_read(self, key: str) -> str:
        raise NotImplementedError

    async def link(self, key: str) -> str:
        return f"https://videos.example.com/{key}?signed"

    def links_end(self) -> datetime | None:
        return at(1000)

    async def find(self, key: str) -> StoredFile | None:
        found = self.files.get(key)
        return StoredFile(len(found)) if found is not None else None

    async def read(self, key: str) -> bytes | None:
        self.asked.append(key)
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("away")
        return self.files.get(key)

    async def write(self, key: str, body: bytes) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        self.files[key] = body

    async def remove(self, keys: Any) -> None:
        raise NotImplementedError


def a_world(**config: Any) -> tuple[World, FakeStore]:
    store = FakeStore()
    return World(a_config_with_a_store(**config), store), store


def folder_of(world: World, name: str) -> str:
    jobs = {job["metadata"]["labels"]["textto.video/job"]: job for job in world.server.all_of(JOBS)}
    url: str = jobs[name]["metadata"]["annotations"][OUTPUT_URL_ANNOTATION]
    return url.removeprefix("store://")


def status_of(world: World, name: str) -> dict[str, Any]:
    status: dict[str, Any] = world.server.objects[RESOURCES, "default", name].get("status", {})
    return status


def another(**resource: Any) -> dict[str, Any]:
    document = a_resource_document(**resource)
    document["metadata"] |= {"name": OTHER[1], "uid": "another-uid"}
    return document


def look(world: World, key: Any = KEY) -> float | None:
    return asyncio.run(world.reconciler.reconcile(key))


def test_a_video_whose_files_are_being_removed_is_asked_for_after_that() -> None:
    world, _ = a_world()
    world.has(spec=EXPLICIT)
    look(world)
    place = f"store://{folder_of(world, KEY[1])}"
    world.server.drop(JOBS, the_jobs(world.server)[0])
    world.server.put(RESOURCES, another(spec=EXPLICIT))
    world.hears()
    with world.reconciler._reuse.held(place), pytest.raises(TryAgain, match="being removed"):
        look(world, OTHER)
    look(world, OTHER)
    assert len(the_jobs(world.server)) == 1


def test_a_video_that_is_stored_costs_no_job() -> None:
    world, store = a_world()
    world.has(spec=EXPLICIT)
    look(world)
    folder = folder_of(world, KEY[1])
    world.server.drop(JOBS, the_jobs(world.server)[0])
    store.holds(folder, "prompt has 99 tokens; this model reads the first 77")
    world.server.put(RESOURCES, another(spec=EXPLICIT))
    world.hears()
    look(world, OTHER)
    status = status_of(world, OTHER[1])
    assert (status["phase"], status["reused"]) == ("Succeeded", True)
    assert status["message"].endswith("; prompt has 99 tokens; this model reads the first 77")
    assert status["output"][0] == f"https://videos.example.com/{folder}/video.mp4?signed"
    assert status["outputUrl"] == status["output"][0]
    assert "jobName" not in status
    assert the_jobs(world.server) == []


def test_half_a_video_is_made_again() -> None:
    world, store = a_world()
    world.has(spec=EXPLICIT)
    look(world)
    folder = folder_of(world, KEY[1])
    world.server.drop(JOBS, the_jobs(world.server)[0])
    store.holds(folder)
    del store.files[f"{folder}/video.mp4"]
    world.server.put(RESOURCES, another(spec=EXPLICIT))
    world.hears()
    look(world, OTHER)
    assert len(the_jobs(world.server)) == 1


def test_a_drawn_seed_takes_nobody_elses_video() -> None:
    world, store = a_world()
    world.has(spec=DRAWN)
    world.server.put(RESOURCES, another(spec=DRAWN))
    world.hears()
    look(world)
    store.holds(folder_of(world, KEY[1]))
    look(world, OTHER)
    assert len(the_jobs(world.server)) == 2


def test_a_lost_status_comes_back_from_the_store_with_the_seed_that_was_drawn() -> None:
    world, store = a_world()
    world.has(spec=DRAWN)
    look(world)
    store.holds(folder_of(world, KEY[1]))
    world.server.drop(JOBS, the_jobs(world.server)[0])
    world.has(spec=DRAWN)
    look(world)
    assert (status_of(world, KEY[1])["phase"], the_jobs(world.server)) == ("Succeeded", [])


def test_of_two_that_are_asked_for_at_once_one_is_made() -> None:
    world, store = a_world()
    world.has(spec=EXPLICIT)
    world.server.put(RESOURCES, another(spec=EXPLICIT))
    world.hears()

    async def both() -> None:
        await asyncio.gather(*(world.reconciler.reconcile(key) for key in (KEY, OTHER)))

    asyncio.run(both())
    assert len(the_jobs(world.server)) == 1
    waits = status_of(world, OTHER[1])
    assert waits["conditions"][0]["reason"] == "SameVideo"
    assert KEY[1] in waits["message"]
    assert look(world, OTHER) == pytest.approx(5)

    folder, (job,) = folder_of(world, KEY[1]), world.server.all_of(JOBS)
    store.holds(folder)
    done = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T12:00:00Z"}
    job["status"] = {"conditions": [done]}
    world.server.put(JOBS, job)
    world.hears()
    look(world, OTHER)
    assert status_of(world, OTHER[1])["reused"] is True


def test_who_has_a_key_does_not_wait_for_who_has_none() -> None:
    """The other may wait long for a pool that the key need not wait for."""
    pools = [SLOW, FAST]
    world, _ = a_world(pools=pools, apiKeys={"enabled": True})
    world.server.put(SECRETS, a_key_secret())
    world.server.put(SECRETS, a_secret())
    world.has(spec=EXPLICIT)
    look(world)
    world.server.put(RESOURCES, another(spec=EXPLICIT | {"keySecretRef": {"name": "alice"}}))
    world.hears()
    look(world, OTHER)
    labels = [job["metadata"]["labels"] for job in world.server.all_of(JOBS)]
    assert [each["textto.video/pool"] for each in labels] == ["slow", "fast"]


def test_where_the_one_fails_the_other_makes_its_own() -> None:
    world, _ = a_world()
    world.has(spec=EXPLICIT)
    world.server.put(RESOURCES, another(spec=EXPLICIT))
    world.hears()
    look(world)
    look(world, OTHER)
    assert len(the_jobs(world.server)) == 1
    (job,) = world.server.all_of(JOBS)
    job["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}
    world.server.put(JOBS, job)
    world.hears()
    look(world, OTHER)
    assert len(the_jobs(world.server)) == 2
    assert not status_of(world, OTHER[1]).get("attempts"), "no Job of it was ever deleted"


def test_a_deleted_job_whose_upload_was_done_is_not_made_again() -> None:
    world, store = a_world()
    world.has(spec=EXPLICIT)
    look(world)
    folder = folder_of(world, KEY[1])
    store.holds(folder)
    world.server.drop(JOBS, the_jobs(world.server)[0])
    world.has(spec=EXPLICIT, status=running())
    look(world)
    assert (status_of(world, KEY[1])["phase"], the_jobs(world.server)) == ("Succeeded", [])


def test_a_store_that_is_away_holds_nothing_up() -> None:
    world, store = a_world()
    store.is_away = True
    world.has(spec=EXPLICIT)
    look(world)
    assert len(the_jobs(world.server)) == 1


def test_a_model_at_a_branch_may_be_another_one_tomorrow() -> None:
    (model,) = a_config().document()["models"]
    moved = model | {"source": {"hub": "owner/name", "revision": "main"}}
    world, store = a_world(models=[moved])
    world.has(spec=EXPLICIT)
    look(world)
    assert store.asked == []
    assert len(the_jobs(world.server)) == 1
    pinned = model | {"source": {"hub": "owner/name", "revision": "0" * 40}}
    world, store = a_world(models=[pinned])
    world.has(spec=EXPLICIT)
    look(world)
    assert len(store.asked) == 1


def test_a_job_that_is_held_by_hand_makes_nothing_for_others() -> None:
    world, _ = a_world()
    world.has(spec=EXPLICIT)
    look(world)
    (job,) = world.server.all_of(JOBS)
    job["spec"]["suspend"] = True
    world.server.put(JOBS, job)
    world.server.put(RESOURCES, another(spec=EXPLICIT))
    world.hears()
    look(world, OTHER)
    assert len(the_jobs(world.server)) == 2


@pytest.mark.parametrize("way", [{"pool": "other"}, {"suspend": True}])
def test_a_maker_that_may_come_later_is_not_waited_for(way: dict[str, Any]) -> None:
    pools = [{"name": "default"}, {"name": "other"}]
    world, _ = a_world(pools=pools)
    world.has(spec=EXPLICIT)
    look(world)
    document = world.server.objects[RESOURCES, *KEY]
    document["spec"] |= way
    world.server.put(RESOURCES, document)
    world.server.put(RESOURCES, another(spec=EXPLICIT))
    world.hears()
    look(world, OTHER)
    assert len(the_jobs(world.server)) == 2


def test_init_media_may_be_others_under_the_same_url() -> None:
    world, store = a_world()
    media = {"initImage": "https://example.com/latest.png", "scheduler": "DDIMScheduler"}
    world.has(spec=EXPLICIT | media)
    look(world)
    assert store.asked == []
    assert len(the_jobs(world.server)) == 1


def test_pods_of_a_job_that_is_there_are_no_reason_to_ask_the_store() -> None:
    world, store = a_world()
    world.has(spec=EXPLICIT)
    look(world)
    asked = len(store.asked)
    world.server.put(PODS, a_pod_document(running=True))
    world.hears()
    look(world)
    assert len(store.asked) == asked


def test_a_forged_job_leads_to_no_other_namespaces_files() -> None:
    """Whoever may make Jobs may write whatever they like on one, their own resource's too."""
    world, _ = a_world()
    world.has(spec=EXPLICIT)
    look(world)
    (job,) = world.server.all_of(JOBS)
    forged = f"store://videos/elsewhere/{'0' * 64}"
    job["metadata"]["annotations"][OUTPUT_URL_ANNOTATION] = forged
    done = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T12:00:00Z"}
    job["status"] = {"conditions": [done]}
    world.server.put(JOBS, job)
    world.server.put(PODS, a_pod_document(exit_code=0, message=a_result()))
    world.hears()
    look(world)
    status = status_of(world, KEY[1])
    assert status["phase"] == "Succeeded"
    assert status["output"][0].startswith(forged), "a name, and no link"


def test_links_are_made_anew_when_somebody_asks_and_only_then() -> None:
    world, store = a_world()
    old = f"https://old.example.com/videos/default/{'a' * 64}"
    status = succeeded().model_copy(
        update={"output": (f"{old}/video.mp4?signature=of-old",), "output_url": f"{old}/video.mp4"}
    )
    world.has(status=status, record=a_record_of(status))
    assert look(world) is None
    writes = world.server.count("update", RESOURCES)
    document = world.server.objects[RESOURCES, *KEY]
    document["metadata"]["annotations"]["textto.video/renew-links"] = "now"
    world.server.put(RESOURCES, document)
    world.hears()
    look(world)
    renewed = status_of(world, KEY[1])
    link = f"https://videos.example.com/videos/default/{'a' * 64}/video.mp4?signed"
    assert (renewed["outputUrl"], renewed["output"]) == (link, [link])
    assert renewed["linkRenewal"] == "now"
    assert renewed["linkExpiryTime"] == "2026-01-01T12:16:40Z"
    world.hears()
    look(world)
    assert world.server.count("update", RESOURCES) == writes + 1
    assert (the_jobs(world.server), store.asked) == ([], [])

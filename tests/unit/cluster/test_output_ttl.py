"""After outputTtlSeconds a resource goes, its files first; one that is kept stays without them."""

import asyncio
from typing import Any

import pytest
from t2v_api.resource import TextToVideoJobStatus
from t2v_operator.cluster import output_files
from t2v_operator.cluster.errors import ClusterError, TryAgain
from t2v_operator.cluster.kinds import JOBS, RESOURCES
from t2v_operator.cluster.output_files import OutputFiles
from t2v_operator.cluster.output_ttl import OutputTtl
from t2v_operator.core.names import OUTPUT_FINALIZER, OUTPUT_URL_ANNOTATION

from tests.unit.builders import a_config_with_a_store
from tests.unit.cluster import test_output_cleaner
from tests.unit.cluster.test_output_cleaner import FOLDER, KEY, PLACE
from tests.unit.observations import (
    a_job_document,
    a_record_of,
    a_resource_document,
    a_status,
    at,
    succeeded,
    the_spec,
)

TTL: dict[str, Any] = {"outputTtlSeconds": 5}
FLUX = {"kustomize.toolkit.fluxcd.io/name": "films"}


def with_files() -> TextToVideoJobStatus:
    url = f"https://v.example.com/{PLACE}/video.mp4?expires=1&signature=a"
    return succeeded().model_copy(update={"output": (url,), "output_url": url})


class World(test_output_cleaner.World):
    """The cleaner's, with what measures the time."""

    def __init__(self, has_store: bool = True) -> None:
        super().__init__()
        store: Any = self if has_store else None
        files = OutputFiles(
            self.cache, self.cleaner._effects, store, self.reuse, a_config_with_a_store()
        )
        client: Any = self.server
        recorder: Any = self
        self.ttl = OutputTtl(
            client, self.cache, self.cleaner._effects, files, recorder, lambda: at(self.now)
        )

    def has_finished(
        self,
        status: TextToVideoJobStatus | None = None,
        labels: dict[str, str] | None = None,
        name: str = KEY[1],
        **spec: Any,
    ) -> None:
        status = status or with_files()
        record = a_record_of(status)
        document = a_resource_document(spec=spec, status=status, record=record, name=name)
        document["metadata"] |= {"labels": labels or {}, "uid": f"uid-of-{name}"}
        self.put(document)

    def hears(self) -> None:
        """What the API server has to tell by now."""
        documents, version = self.server.all_of(RESOURCES), self.server.version
        store = self.cache.resources
        store.sweep(store.page(documents, version, None), version, None)

    def edits(self, name: str = KEY[1], **spec: Any) -> None:
        document = self.server.objects[RESOURCES, "default", name]
        document["metadata"]["generation"] += 1
        self.put(document | {"spec": document["spec"] | spec})

    def is_over(self, key: tuple[str, str] = KEY) -> float | None:
        return asyncio.run(self.ttl._work(key))

    def waits(self) -> list[float]:
        """In how many seconds it looks, after news of the resource."""

        async def consider() -> list[float]:
            self.ttl.consider(KEY)
            now = asyncio.get_running_loop().time()
            return [timer.when() - now for timer in self.ttl._queue._timers.values()]

        return asyncio.run(consider())

    @property
    def metadata(self) -> Any:
        return self.server.objects[RESOURCES, *KEY]["metadata"]

    @property
    def status(self) -> Any:
        return self.server.objects[RESOURCES, *KEY]["status"]


def test_a_resource_goes_and_its_files_before_it() -> None:
    world = World()
    world.has_finished(**TTL)
    world.is_over()
    assert "deletionTimestamp" in world.metadata
    assert (world.finalizers, world.removed) == ([OUTPUT_FINALIZER], [])
    assert world.told == ["OutputTtlOver"]
    world.hears()
    assert world.is_wanted, "by the cleaner"
    world.work()
    assert f"{PLACE}/video.mp4" in world.removed
    assert world.finalizers == []


def test_finalizers_of_others_stay_when_it_is_deleted() -> None:
    world = World()
    world.has(outputPolicy="Delete", **TTL)
    world.is_over()
    assert world.finalizers == ["somebody.else/one", OUTPUT_FINALIZER]
    assert world.server.count("patch", RESOURCES) == 0
    assert "deletionTimestamp" in world.metadata


def test_a_failure_goes_as_well_unless_it_is_kept() -> None:
    failed = a_status(spec={"modelId": "no-such-model"}, now=10)
    world = World()
    world.has_finished(failed, modelId="no-such-model", **TTL)
    world.is_over()
    assert "deletionTimestamp" in world.metadata
    world = World()
    world.has_finished(failed, FLUX, modelId="no-such-model", **TTL)
    assert world.is_over() is None
    assert "deletionTimestamp" not in world.metadata
    assert world.status == failed.document()


def test_what_is_kept_stays_without_its_files() -> None:
    world = World()
    world.has_finished(labels=FLUX, **TTL)
    world.is_over()
    assert f"{PLACE}/video.mp4" in world.removed
    assert "deletionTimestamp" not in world.metadata
    assert (world.status["phase"], world.status.get("output")) == ("Succeeded", [])
    assert "outputUrl" not in world.status
    assert world.status["outputRemovedTime"] == "2026-01-01T12:01:40Z"
    assert world.told == ["OutputTtlOver"]
    assert world.waits() == [], "nothing is left to go"
    world.server.forget_requests()
    assert world.is_over() is None
    assert world.server.count("update", RESOURCES) == 0


def test_of_two_that_are_kept_with_one_video_the_last_one_takes_the_files() -> None:
    world = World()
    for name in (KEY[1], "twin"):
        world.has_finished(labels=FLUX, name=name, **TTL)
    world.is_over()
    assert (world.removed, "outputRemovedTime" in world.status) == ([], True)
    world.is_over(("default", "twin"))
    assert f"{PLACE}/video.mp4" in world.removed


def test_nobody_takes_up_the_video_while_it_is_removed() -> None:
    world = World()
    world.has_finished(labels=FLUX, **TTL)
    place = f"store://{PLACE}"
    with world.reuse.held(place), pytest.raises(TryAgain):
        world.is_over()
    assert world.removed == []
    assert "outputRemovedTime" not in world.status
    world.is_over()
    assert world.removed
    assert world.reuse._held == set()


def test_a_store_that_is_away_is_waited_for_and_nothing_is_said_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output_files, "AWAY_SECONDS", 0)
    world = World()
    world.has_finished(labels=FLUX, **TTL)
    world.is_away = True
    with pytest.raises(TryAgain):
        world.is_over()
    assert world.status == with_files().document()
    world.is_away = False
    world.is_over()
    assert "outputRemovedTime" in world.status


def test_a_job_that_could_still_upload_goes_before_the_files() -> None:
    world = World()
    job = a_job_document(owner_uid=f"uid-of-{KEY[1]}")
    job["metadata"]["annotations"][OUTPUT_URL_ANNOTATION] = f"store://{PLACE}"
    world.put(job, JOBS)
    world.has_finished(labels=FLUX, **TTL)
    with pytest.raises(TryAgain, match="its Job is still being removed"):
        world.is_over()
    assert (world.removed, world.server.count("delete", JOBS)) == ([], 1)


def test_a_ttl_that_is_raised_or_taken_away_before_it_is_due_keeps_the_resource() -> None:
    world = World()
    world.has_finished(**TTL)
    assert world.waits() == pytest.approx([0], abs=0.5)
    world.has_finished(outputTtlSeconds=1000)
    assert world.is_over() == pytest.approx(950, abs=1)
    world.has_finished()
    assert world.is_over() is None
    assert (world.waits(), world.removed) == ([], [])
    assert "deletionTimestamp" not in world.metadata


def test_an_edit_that_nobody_looked_at_yet_stops_it() -> None:
    world = World()
    world.has_finished(**TTL)
    world.edits(prompt="a blue square")
    assert world.is_over() is None
    assert "deletionTimestamp" not in world.metadata


class EditedMeanwhile(World):
    """Somebody writes another request just before a write of ours arrives."""

    def __init__(self, verb: str) -> None:
        super().__init__()
        self.verb = verb
        real = getattr(self.server, verb)

        async def late(*arguments: Any, **named: Any) -> Any:
            setattr(self.server, self.verb, real)
            self.edits(prompt="a blue square")
            return await real(*arguments, **named)

        setattr(self.server, verb, late)


@pytest.mark.parametrize("verb", ["patch", "delete"])
def test_another_request_that_comes_in_between_is_not_deleted(verb: str) -> None:
    world = EditedMeanwhile(verb)
    world.has_finished(**TTL)
    with pytest.raises(TryAgain):
        world.is_over()
    assert world.is_over() is None
    assert "deletionTimestamp" not in world.metadata
    assert world.removed == []


def test_a_finalizer_that_was_added_in_vain_comes_off_again() -> None:
    world = EditedMeanwhile("delete")
    world.has_finished(**TTL)
    with pytest.raises(TryAgain):
        world.is_over()
    assert world.finalizers == [OUTPUT_FINALIZER]
    assert world.is_wanted
    world.work()
    assert world.finalizers == []


def test_another_request_that_comes_in_between_is_told_nothing_of_the_files() -> None:
    world = EditedMeanwhile("replace")
    world.has_finished(labels=FLUX, **TTL)
    assert world.is_over() is None
    assert "outputRemovedTime" not in world.status


def test_files_that_are_gone_are_said_to_be_though_the_ttl_was_raised_meanwhile() -> None:
    world = World()
    world.has_finished(labels=FLUX, **TTL)
    remove = world.remove

    async def late(keys: list[str]) -> None:
        await remove(keys)
        world.edits(outputTtlSeconds=1000)

    world.remove = late  # type: ignore[method-assign]
    world.is_over()
    assert "outputRemovedTime" in world.status
    assert world.server.objects[RESOURCES, *KEY]["spec"] == the_spec(outputTtlSeconds=1000)


def test_another_process_finds_again_what_is_due() -> None:
    world = World()
    world.has_finished(outputTtlSeconds=60)
    (left,) = world.waits()
    assert left == pytest.approx(10, abs=0.5)
    after_a_death = World()
    after_a_death.now += 3600
    after_a_death.has_finished(outputTtlSeconds=60)
    assert after_a_death.waits() == pytest.approx([0], abs=0.5)


def test_a_right_that_is_missing_is_told() -> None:
    world = World()
    world.has_finished(**TTL)
    world.server.refusals["delete", RESOURCES.plural] = ClusterError(403, "Forbidden", "no")
    with pytest.raises(ClusterError, match="403"):
        world.is_over()


def test_on_a_volume_nothing_goes() -> None:
    world = World(has_store=False)
    world.has_finished(**TTL)
    assert world.waits() == []


def test_only_the_folder_of_the_own_namespace_is_touched() -> None:
    world = World()
    elsewhere = f"store://videos/elsewhere/{FOLDER}/video.mp4"
    status = with_files().model_copy(update={"output": (elsewhere,), "output_url": elsewhere})
    world.has_finished(status, FLUX, **TTL)
    world.is_over()
    assert all(key.startswith("videos/default/") for key in world.removed)

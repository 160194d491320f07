"""What a key may ask for at most."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import httpx2
import pytest
from t2v_api.api_key import Quota
from t2v_gateway.callers import Callers
from t2v_gateway.errors import Refused
from t2v_gateway.spending import DAY_SECONDS, STEP_SECONDS, Spent
from t2v_gateway.videos import Video
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.config import OperatorConfig

from tests.unit.builders import a_config
from tests.unit.gateway.openai_world import an_openai_world
from tests.unit.gateway.world import KeyRing, World, a_world

URL = "/api/v1/enterprise/text2video"
BODY = {"model_id": "tiny-shapes", "prompt": "a red circle"}


async def make(world: World) -> httpx2.Response:
    return await world.client.post(URL, json=BODY | {"key": world.key.text})


def with_quota(world: World, **quota: Any) -> None:
    world.key, _ = world.keys.add(quota=Quota(**quota))


def test_videos_that_are_asked_for_at_once_are_counted() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            with_quota(world, jobs_in_flight=2)
            create, asking = world.server.create, asyncio.Event()

            async def slow(*what: Any) -> Any:
                await asking.wait()
                return await create(*what)

            world.server.create = slow  # type: ignore[method-assign]
            requests = [asyncio.create_task(make(world)) for _ in range(5)]
            first = [await each for each in islice(asyncio.as_completed(requests), 3)]
            assert [each.status_code for each in first] == [429, 429, 429]
            asking.set()
            codes = sorted([(await each).status_code for each in requests])
            assert codes == [200, 200, 429, 429, 429]
            assert len(world.videos) == 2

    asyncio.run(asyncio.wait_for(asked(), 60))


def test_a_video_that_could_not_be_made_does_not_count() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            with_quota(world, jobs_in_flight=1)
            error = ClusterError(500, "InternalError", "etcd")
            world.server.refusals["create", RESOURCES.plural] = error
            assert (await make(world)).status_code == 503
            assert (await make(world)).status_code == 200
            assert (await make(world)).status_code == 429

    asyncio.run(asked())


NOW = datetime(2026, 1, 2, tzinfo=UTC)
DRAWN = {"device": "cuda", "dtype": "bfloat16"}


def an_attempt(begin: int, end: int | None, **parts: Any) -> dict[str, Any]:
    """`begin`, `end`: seconds ago."""
    times = {"startTime": ago(begin)} | ({} if end is None else {"completionTime": ago(end)})
    return times | parts


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


FAILED_TWICE = [
    an_attempt(300, 200, reason="Disrupted"),
    an_attempt(150, 100, reason="OutOfMemory"),
]


@pytest.mark.parametrize(
    ("status", "used"),
    [
        ({"phase": "Succeeded", "generationTime": 40.0}, 40),
        ({"phase": "Succeeded", "generationTime": 40.0, "reused": True}, 0),
        ({"phase": "Failed", "attempts": FAILED_TWICE}, 150),
        ({"phase": "Failed", "attempts": FAILED_TWICE, "completionTime": ago(25 * 3600)}, 0),
        ({"phase": "Failed", "attempts": [an_attempt(80, None)]}, 70),
        ({"phase": "Running", "attempts": [an_attempt(60, None)]}, 60),
        ({"phase": "Queued"}, 0),
    ],
)
@pytest.mark.parametrize("gpus", [1, 2])
@pytest.mark.parametrize("is_deleted", [False, True])
def test_what_videos_take_of_gpus_counts_and_deleting_them_gives_none_back(
    status: dict[str, Any], used: float, gpus: int, is_deleted: bool
) -> None:
    async def asked() -> None:
        async with a_world(on_gpus(gpus)) as world:
            world.gateway.videos.clock = NOW.timestamp
            await make(world)
            (video,) = world.videos
            is_over = status["phase"] in ("Succeeded", "Failed")
            world.change(video, **({"completionTime": ago(10)} if is_over else {}) | status)
            if is_deleted:
                (video,) = world.videos
                document = world.server.objects.pop((RESOURCES, *video.key))
                world.gateway.videos.store.event("DELETED", document, None)
                assert world.videos == []
            key = world.keys.find(world.key.text)
            assert key
            assert world.gateway.videos.gpu_seconds(key) == used * gpus

    asyncio.run(asked())


def on_gpus(count: int) -> OperatorConfig:
    """The configuration whose model draws on so many."""
    document = a_config().document()
    for model in document["models"]:
        model["resources"] = model.get("resources", {}) | {"gpus": count}
        if count > 1:
            model["family"] = "Wan"
            model["defaults"]["numFrames"] = 13
    return OperatorConfig.parse(document)


def test_who_has_used_up_a_day_of_gpus_makes_no_more() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            world.gateway.videos.clock = NOW.timestamp
            with_quota(world, gpu_seconds_per_day=100)
            assert (await make(world)).status_code == 200
            (video,) = world.videos
            world.change(video, phase="Failed", attempts=FAILED_TWICE, completionTime=ago(1))
            answer = await make(world)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")

    asyncio.run(asked())


def test_earlier_tries_count_though_their_runs_are_not_listed_any_more() -> None:
    async def asked() -> None:
        async with a_world() as world:
            world.gateway.videos.clock = NOW.timestamp
            await make(world)
            (video,) = world.videos
            world.change(video, phase="Queued", gpuSeconds=70.0)
            key = world.keys.find(world.key.text)
            assert key
            assert world.gateway.videos.gpu_seconds(key) == 70

    asyncio.run(asked())


def test_what_is_gone_is_forgotten_after_a_day_and_told_of_one_key_alone() -> None:
    spent = Spent()
    spent.add("a", ended=100_000, seconds=7)
    spent.add("a", ended=100_000 + DAY_SECONDS, seconds=2)
    spent.add("", ended=100_000, seconds=9)
    assert spent.of("a", 100_001) == 9
    assert spent.of("a", 100_000 + DAY_SECONDS + STEP_SECONDS) == 2
    assert (spent.of("b", 100_001), spent.of("", 100_001)) == (0, 0)


def test_gpus_are_told_by_the_record_where_the_model_has_changed() -> None:
    async def asked() -> None:
        async with an_openai_world() as world:
            world.world.gateway.videos.clock = NOW.timestamp
            made = await world.client.videos.create(prompt="a cat", model="tiny-shapes")
            world.finish(made.id)
            document = world.video(made.id).resource.status
            assert document
            assert document.resolved
            resolved = document.resolved.document() | {"execution": DRAWN | {"gpus": 4}}
            world.world.change(
                world.video(made.id), resolved=resolved, generationTime=10.0, completionTime=ago(1)
            )
            key = world.world.keys.find(world.world.key.text)
            assert key
            assert world.world.gateway.videos.gpu_seconds(key) == 40

    asyncio.run(asked())


def test_nothing_is_parsed_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand resources would keep everybody else waiting."""

    def parsed(_: Video) -> None:
        raise AssertionError("a resource was parsed")

    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            world.gateway.videos.clock = NOW.timestamp
            with_quota(world, jobs_in_flight=9, gpu_seconds_per_day=100)
            for _ in range(2):
                assert (await make(world)).status_code == 200
            first, _ = world.videos
            pool = world.gateway.config.pools[0].name
            world.change(first, phase="Running", pool=pool, attempts=[an_attempt(1, None)])
            key = world.keys.find(world.key.text)
            assert key
            monkeypatch.setattr(Video, "resource", property(parsed))
            with world.gateway.callers.may_make_one(key):
                pass
            url = "/api/v1/enterprise/system_details"
            told = await world.client.post(url, json={"key": world.key.text})
            assert told.json()["pools"][0]["running"] == 1

    asyncio.run(asked())


def test_who_asks_twice_as_often_as_it_may_is_answered_half_of_the_time() -> None:
    now = [0.0]
    keys = KeyRing()
    made, _ = keys.add(quota=Quota(requests_per_minute=60))
    nothing: Any = None
    callers = Callers(keys, nothing, lambda: now[0])
    taken = 0
    for request in range(1200):
        now[0] = request / 2
        with contextlib.suppress(Refused):
            callers.known(made.text)
            taken += request >= 600
    assert taken == pytest.approx(300, abs=5)

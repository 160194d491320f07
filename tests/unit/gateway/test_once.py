"""A request that is repeated makes one video: by its track_id, or by its Idempotency-Key."""

import asyncio
from typing import Any

import httpx2
from t2v_api.api_key import Quota
from t2v_operator.cluster.kinds import RESOURCES

from tests.unit.gateway.world import World, a_world

URL = "/api/v1/enterprise/text2video"
BODY: dict[str, Any] = {"model_id": "tiny-shapes", "prompt": "a red circle"}


async def ask(world: World, word: str | None = None, **parts: Any) -> httpx2.Response:
    headers = {"Idempotency-Key": word} if word else {}
    return await world.client.post(
        URL, json=BODY | {"key": world.key.text} | parts, headers=headers
    )


def test_an_idempotency_key_is_one_video() -> None:
    async def asked() -> None:
        async with a_world() as world:
            first = (await ask(world, "a")).json()["id"]
            assert (await ask(world, "a")).json()["id"] == first
            assert (await ask(world, "a", width=None, samples=1)).json()["id"] == first
            assert (await ask(world, "b")).json()["id"] != first

    asyncio.run(asked())


def test_an_idempotency_key_goes_with_no_other_request() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            await ask(world, "a")
            answer = await ask(world, "a", seed=1)
            assert answer.status_code == 422
            assert "Idempotency-Key" in answer.json()["message"]
            assert len(world.videos) == 1

    asyncio.run(asked())


def test_an_idempotency_key_that_is_too_long_is_refused() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            assert (await ask(world, "a" * 256)).status_code == 400

    asyncio.run(asked())


def test_another_way_to_write_the_same_request_is_the_same() -> None:
    async def asked() -> None:
        async with a_world() as world:
            first = (await ask(world, track_id="a", width="64")).json()["id"]
            again = await ask(world, track_id="a", width=64.0, seed=None, enhance_prompt="YES")
            assert again.json()["id"] == first

    asyncio.run(asked())


def test_a_repeated_request_is_answered_though_the_quota_is_used_up() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            key, _ = world.keys.add(quota=Quota(jobs_in_flight=1))
            first = await ask(world, track_id="a", key=key.text)
            again = await ask(world, track_id="a", key=key.text)
            another = await ask(world, track_id="b", key=key.text)
            assert first.json()["id"] == again.json()["id"]
            assert another.status_code == 429
            assert another.headers["retry-after"] == "30"

    asyncio.run(asked())


def test_a_later_video_of_a_word_is_still_the_one_when_an_earlier_one_has_gone() -> None:
    async def asked() -> None:
        async with a_world() as world:
            first = world.gateway.videos.by_id((await ask(world, "a")).json()["id"])
            assert first
            document = world.server.objects[RESOURCES, first.namespace, first.name]
            document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            world.change(first)
            second = (await ask(world, "a")).json()["id"]
            assert second != first.id
            world.drop(first)
            assert (await ask(world, "a")).json()["id"] == second
            assert len(world.videos) == 1

    asyncio.run(asked())


def test_a_word_may_be_said_again_each_day_for_years() -> None:
    async def asked() -> None:
        async with a_world() as world:
            made = []
            for _ in range(150):
                video = world.gateway.videos.by_id((await ask(world, "a")).json()["id"])
                assert video
                made.append(video.id)
                document = world.server.objects[RESOURCES, video.namespace, video.name]
                document["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
                world.change(video)
            assert len(set(made)) == 150

    asyncio.run(asked())

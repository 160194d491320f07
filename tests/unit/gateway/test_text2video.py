"""A request of the document's, from the body to the answer."""

import asyncio
from typing import Any

from t2v_api.api_key import NewKey
from t2v_gateway.endpoint.text2video import spec_of

from tests.unit.gateway.world import World, a_world

URL = "/api/v1/enterprise/text2video"
DOCUMENTED: dict[str, Any] = {
    "model_id": "tiny-shapes",
    "prompt": "a red circle moving right",
    "negative_prompt": "Low Quality",
    "width": "64",
    "height": "64",
    "scheduler": "UniPCMultistepScheduler",
    "num_inference_steps": "30",
    "enhance_prompt": "yes",
    "guidance_scale": 7.5,
    "strength": 0.7,
    "seed": None,
    "webhook": None,
    "track_id": None,
}


def test_a_video_is_answered_once_it_is_there() -> None:
    async def asked() -> None:
        async with a_world(wait_seconds=30) as world:
            body = DOCUMENTED | {"key": world.key.text}
            answering = asyncio.create_task(world.client.post(URL, json=body))
            while not world.videos:
                await asyncio.sleep(0)
            (video,) = world.videos
            world.succeed(video)
            answer = (await answering).json()
            assert answer["status"] == "success"
            assert answer["output"] == ["http://videos.example.com/v/video.mp4"]
            assert answer["generationTime"] == 8.9
            assert answer["id"] == video.id

    asyncio.run(asked())


def test_a_video_that_is_deleted_while_it_is_waited_for_is_said_to_be() -> None:
    async def asked() -> None:
        async with a_world(wait_seconds=30) as world:
            body = DOCUMENTED | {"key": world.key.text}
            answering = asyncio.create_task(world.client.post(URL, json=body))
            while not world.gateway.videos._listeners:
                await asyncio.sleep(0)
            (video,) = world.videos
            world.drop(video)
            answer = (await answering).json()
            assert answer["status"] == "error"
            assert answer["message"] == f"video {video.id} was deleted before it was made"

    asyncio.run(asked())


def test_a_repeated_request_waits_for_a_video_that_another_replica_made() -> None:
    async def asked() -> None:
        async with a_world(wait_seconds=30) as world:
            spec = spec_of(DOCUMENTED | {"track_id": "a"}, from_image=False)
            key = world.keys.find(world.key.text)
            assert key
            made = await world.gateway.submitter.submit(key, spec)
            world.forget(made)
            waiting = asyncio.create_task(world.gateway.videos.finished(made, 30))
            while not world.gateway.videos._listeners:
                await asyncio.sleep(0)
            world.change(made, phase="Queued")
            await asyncio.sleep(0)
            assert not waiting.done()
            world.succeed(made)
            finished = await waiting
            assert finished
            assert finished.is_finished

    asyncio.run(asked())


def test_a_video_on_its_way_is_fetched_later() -> None:
    async def asked() -> None:
        async with a_world() as world:
            body = DOCUMENTED | {"key": world.key.text}
            answer = (await world.client.post(URL, json=body)).json()
            assert answer["status"] == "processing"
            (video,) = world.videos
            world.succeed(video)
            key = {"key": world.key.text}
            fetched = (await world.client.post(answer["fetch_result"], json=key)).json()
            assert fetched["status"] == "success"
            assert fetched["id"] == answer["id"]

    asyncio.run(asked())


def test_the_same_track_id_and_body_make_one_video() -> None:
    async def asked() -> None:
        async with a_world() as world:
            first = await _made(world, track_id="order 7")
            assert await _made(world, track_id="order 7") == first
            assert await _made(world, track_id="order 8") != first
            assert await _made(world) != await _made(world)

    asyncio.run(asked())


def test_one_key_holds_so_many_requests_and_no_more() -> None:
    async def asked() -> None:
        async with a_world(wait_seconds=3600, waits_per_key=2) as world:
            held = [asyncio.create_task(_answered(world, world.key)) for _ in range(2)]
            while len(world.videos) < 2:
                await asyncio.sleep(0)
            async with asyncio.timeout(10):
                assert (await _answered(world, world.key))["status"] == "processing"
            other, _ = world.keys.add()
            of_another = asyncio.create_task(_answered(world, other))
            while len(world.videos) < 4:
                await asyncio.sleep(0)
            for video in world.videos:
                world.succeed(video)
            for each in (*held, of_another):
                assert (await each)["status"] == "success"
            again = asyncio.create_task(_answered(world, world.key))
            while len(world.videos) < 5:
                await asyncio.sleep(0)
            world.succeed(next(video for video in world.videos if not video.is_finished))
            assert (await again)["status"] == "success"

    asyncio.run(asked())


def test_who_waits_holds_no_room_for_bodies() -> None:
    async def asked() -> None:
        async with a_world(
            wait_seconds=3600, memory_bytes=2**20, upload_bytes=1024, body_bytes=200_000
        ) as world:
            # More than fits at once: each has let its body go before it waits.
            held = []
            for number in range(1, 11):
                padded = DOCUMENTED | {"more": "x" * 100_000}
                held.append(asyncio.create_task(_answered(world, world.key, padded)))
                while len(world.videos) < number:
                    assert not held[-1].done(), held[-1].result()
                    await asyncio.sleep(0)
            world.gateway.videos.close()
            for each in held:
                assert (await each)["status"] == "processing"

    asyncio.run(asked())


async def _answered(world: World, key: NewKey, body: dict[str, Any] = DOCUMENTED) -> Any:
    return (await world.client.post(URL, json=body | {"key": key.text})).json()


async def _made(world: World, **parts: Any) -> int:
    body = DOCUMENTED | {"key": world.key.text} | parts
    answer: int = (await world.client.post(URL, json=body)).json()["id"]
    return answer

"""A request of the document's, from the body to the answer."""

import asyncio
from typing import Any

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


async def _made(world: World, **parts: Any) -> int:
    body = DOCUMENTED | {"key": world.key.text} | parts
    answer: int = (await world.client.post(URL, json=body)).json()["id"]
    return answer

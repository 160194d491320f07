"""How far a video is: by its id, its request_id, its track_id; and in which words."""

import asyncio
import json
from typing import Any

import pytest

from tests.unit.gateway.world import World, a_world

PLACE = "/api/v1/enterprise"
BODY: dict[str, Any] = {"model_id": "tiny-shapes", "prompt": "a red circle", "seed": 7}


async def made(world: World, **parts: Any) -> dict[str, Any]:
    body = BODY | {"key": world.key.text} | parts
    answer: dict[str, Any] = (await world.client.post(f"{PLACE}/text2video", json=body)).json()
    return answer


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{PLACE}/fetch/{{id}}", {}),
        ("POST", f"{PLACE}/fetch/{{id}}/", {}),
        ("POST", f"{PLACE}/video/fetch/{{id}}", {}),
        ("POST", "/api/v6/video/fetch/{id}", {}),
        ("POST", f"{PLACE}/fetch", {"request_id": "id"}),
        ("POST", f"{PLACE}/fetch", {"request_id": " id "}),
        ("POST", f"{PLACE}/fetch_queue_image", {"request_id": "id"}),
        ("POST", f"{PLACE}/fetch", {"track_id": "order 7"}),
        ("GET", f"{PLACE}/fetch/{{id}}", None),
        ("GET", "/api/v6/video/fetch/{id}", None),
    ],
)
def test_a_video_is_fetched_in_every_documented_way(
    method: str, path: str, body: dict[str, str] | None
) -> None:
    async def asked() -> None:
        async with a_world() as world:
            made_id = (await made(world, track_id="order 7"))["id"]
            world.succeed(world.videos[0])
            place = path.format(id=made_id)
            if body is None:
                bearer = {"Authorization": f"Bearer {world.key.text}"}
                answer = await world.client.request(method, place, headers=bearer)
            else:
                filled = {name: text.replace("id", str(made_id)) for name, text in body.items()}
                if "track_id" in body:
                    filled = body
                key = {"key": world.key.text}
                answer = await world.client.request(method, place, json=filled | key)
            assert (answer.json()["status"], answer.json()["id"]) == ("success", made_id)

    asyncio.run(asked())


def test_of_several_videos_of_a_track_id_the_latest_is_told() -> None:
    async def asked() -> None:
        async with a_world() as world:
            first = (await made(world, track_id="a"))["id"]
            document = world.server.objects[next(iter(world.server.objects))]
            document["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z"
            world.gateway.videos.store.event("MODIFIED", document, None)
            second = (await made(world, track_id="a", seed=8))["id"]
            body = {"key": world.key.text, "track_id": "a"}
            answer = (await world.client.post(f"{PLACE}/fetch", json=body)).json()
            assert first != second == answer["id"]

    asyncio.run(asked())


def test_on_its_way_an_answer_says_when_and_where_to_ask_again() -> None:
    async def asked() -> None:
        async with a_world() as world:
            answer = await made(world, strength="0.7")
            assert answer["eta"] == 10
            assert answer["output"] == []
            assert answer["fetch_result"] == f"http://gateway{PLACE}/fetch/{answer['id']}"
            assert "strength has no effect" in answer["tip"]
            assert answer["meta"]["model_id"] == "tiny-shapes"
            assert answer["meta"]["seed"] == 7
            assert answer["meta"]["enhance_prompt"] == "yes"
            progress: dict[str, Any] = {
                "stage": "denoise",
                "step": 1,
                "steps": 2,
                "percent": 50,
                "etaSeconds": 4.2,
            }
            progress["updatedTime"] = "2026-01-01T00:00:00Z"
            world.change(world.videos[0], phase="Running", message="draws", progress=progress)
            key = {"key": world.key.text}
            later = (await world.client.post(answer["fetch_result"], json=key)).json()
            assert (later["status"], later["eta"], later["message"]) == ("processing", 5, "draws")

    asyncio.run(asked())


def test_what_failed_says_why_in_the_endpoints_words() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            answer = await made(world)
            world.fail(world.videos[0], "numFrames is 82; this model draws at most 16")
            key = {"key": world.key.text}
            failed = await world.client.post(answer["fetch_result"], json=key)
            assert failed.status_code == 200
            told = failed.json()
            assert told["status"] == "failed"
            assert told["message"] == "num_frames is 82; this model draws at most 16"
            assert told["output"] == []
            assert told["id"] == answer["id"]

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("settings", "host", "begins"),
    [
        ({}, "videos.example.com:8443", "http://videos.example.com:8443/api/"),
        ({}, "[::1]:8000", "http://[::1]:8000/api/"),
        ({}, "evil.example.com/x?", "/api/"),
        ({}, 'a"b', "/api/"),
        ({"public_url": "https://t2v.example.com/x"}, "evil", "https://t2v.example.com/x/api/"),
    ],
)
def test_a_host_header_is_used_only_where_it_is_a_host(
    settings: dict[str, Any], host: str, begins: str
) -> None:
    async def asked() -> None:
        async with a_world(**settings) as world:
            answer = await world.client.post(
                f"{PLACE}/text2video",
                json=BODY | {"key": world.key.text},
                headers={"Host": host, "X-Forwarded-Host": "evil.example.com"},
            )
            assert answer.json()["fetch_result"].startswith(begins)

    asyncio.run(asked())


def test_a_client_that_goes_away_ends_the_waiting_and_not_its_video() -> None:
    async def asked() -> None:
        async with a_world(wait_seconds=3600) as world:
            body = json.dumps(BODY | {"key": world.key.text}).encode()
            coming = iter(
                [
                    {"type": "http.request", "body": body, "more_body": False},
                    {"type": "http.disconnect"},
                ]
            )
            sent: list[Any] = []

            async def receive() -> Any:
                return next(coming)

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": f"{PLACE}/text2video",
                "query_string": b"",
                "headers": [(b"host", b"gateway")],
                "scheme": "http",
            }
            async with asyncio.timeout(30):
                await world.app(scope, receive, send)
            (video,) = world.videos
            assert not video.is_being_deleted
            assert not video.is_finished

    asyncio.run(asked())


@pytest.mark.parametrize("by", ["id", "track_id"])
def test_a_video_that_another_replica_has_just_made_is_waited_for(by: str) -> None:
    async def asked() -> None:
        async with a_world() as world:
            made_id = (await made(world, track_id="a"))["id"]
            (video,) = world.videos
            world.forget(video)
            body = {"key": world.key.text} | ({"track_id": "a"} if by == "track_id" else {})
            place = f"{PLACE}/fetch/{made_id}" if by == "id" else f"{PLACE}/fetch"
            asking = asyncio.create_task(world.client.post(place, json=body))
            while not world.gateway.videos._listeners:
                await asyncio.sleep(0)
            world.change(video)
            assert (await asking).json()["id"] == made_id

    asyncio.run(asked())

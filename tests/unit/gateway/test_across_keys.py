"""What a key may not see, it cannot tell from what is not there; and it changes nothing of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from t2v_api.api_key import Right
from t2v_gateway import videos
from t2v_operator.cluster.kinds import RESOURCES

from tests.unit.gateway.world import World, a_world

PLACE = "/api/v1/enterprise"
BODY: dict[str, Any] = {"model_id": "tiny-shapes", "prompt": "a red circle", "track_id": "secret"}
NOBODYS = 4503599627370497


@pytest.fixture(autouse=True)
def _no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that is not found is waited for, whether it is somebody else's or nobody's."""
    monkeypatch.setattr(videos, "LAG_SECONDS", 0.001)


Attempt = Callable[[World, str, int], Awaitable[httpx2.Response]]
"""With the key of somebody else, for the id of a video."""


def posts(path: str, **body: Any) -> Attempt:
    """`ID` stands for the id."""

    async def attempt(world: World, key: str, video: int) -> httpx2.Response:
        filled = json.loads(json.dumps({"key": key, **body}).replace('"ID"', str(video)))
        return await world.client.post(f"{PLACE}/{path}".replace("ID", str(video)), json=filled)

    return attempt


def sends(method: str, path: str, content: str = "", **headers: str) -> Attempt:
    """`KEY` stands for the own key, `OWNER` for the one that the video was made with."""

    async def attempt(world: World, key: str, video: int) -> httpx2.Response:
        def fill(text: str) -> str:
            filled = text.replace("KEY", key).replace("OWNER", "t2v_000000000000_" + "A" * 43)
            return filled.replace("ID", str(video))

        return await world.client.request(
            method,
            f"{PLACE}/{fill(path)}",
            content=fill(content),
            headers={name.replace("_", "-"): fill(text) for name, text in headers.items()},
        )

    return attempt


BEARER = {"Authorization": "Bearer KEY"}
ATTEMPTS: dict[str, Attempt] = {
    "by its id": posts("fetch/ID"),
    "by its id, for videos": posts("video/fetch/ID"),
    "by its id, with GET": sends("GET", "fetch/ID", **BEARER),
    "by its id, where newer clients ask": sends("GET", "../../v6/video/fetch/ID", **BEARER),
    "by request_id": posts("fetch", request_id="ID"),
    "by request_id in the queue": posts("fetch_queue_image", request_id="ID"),
    "by a list of ids": posts("fetch", request_id=["ID"]),
    "by a condition": posts("fetch", request_id={"$ne": "ID"}),
    "by an id of two": sends(
        "POST", "fetch", '{"key": "KEY", "request_id": 1, "request_id": "ID"}'
    ),
    "with an id that ends otherwise": posts("fetch/ID.0"),
    "with zeros before it": posts("fetch/000ID"),
    "with a name of a file": posts("fetch/ID/../ID"),
    "with a NUL behind it": posts("fetch/ID%00"),
    "by deleting it": sends("DELETE", "fetch/ID", **BEARER),
    "by a method beside the method": sends(
        "POST", "fetch/ID", X_HTTP_Method_Override="DELETE", **BEARER
    ),
    "by an address beside the address": sends(
        "POST", "fetch/1", X_Original_URL=f"{PLACE}/fetch/ID", **BEARER
    ),
    "as somebody that a proxy knows": sends(
        "GET", "fetch/ID", X_Forwarded_User="owner", X_Api_Key="OWNER", Cookie="key=OWNER", **BEARER
    ),
    "without a key": sends("POST", "fetch/ID"),
    "with a key that is none": sends("GET", "fetch/ID", Authorization="Bearer OWNER"),
    "with two keys": sends("POST", "fetch/ID", '{"key": "KEY"}', Authorization="Bearer OWNER"),
    "with the key in the address": sends("GET", "fetch/ID?key=KEY"),
    "with a token in the address": sends("POST", "fetch/ID?access_token=KEY", '{"key": "KEY"}'),
    "with basic authentication": sends("GET", "fetch/ID", Authorization="Basic KEY"),
}


@pytest.mark.parametrize("namespace", ["films", "elsewhere"])
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_video_of_another_key_is_as_if_it_were_not_there(attempt: str, namespace: str) -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            owner = BODY | {"key": world.key.text}
            made = (await world.client.post(f"{PLACE}/text2video", json=owner)).json()["id"]
            before = dict(world.server.objects)
            other, _ = world.keys.add(namespace)
            there = await ATTEMPTS[attempt](world, other.text, made)
            nowhere = await ATTEMPTS[attempt](world, other.text, NOBODYS)
            assert 400 <= there.status_code < 500
            assert there.status_code == nowhere.status_code
            assert there.content.replace(b"%d" % made, b"") == nowhere.content.replace(
                b"%d" % NOBODYS, b""
            )
            same = set(there.headers.items()) ^ set(nowhere.headers.items())
            assert {name for name, _ in same} <= {"content-length"}
            assert other.text not in there.text
            assert world.server.objects == before

    asyncio.run(asked())


def test_two_authorization_headers_are_one_too_many() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            other, _ = world.keys.add()
            headers = [("Authorization", f"Bearer {key.text}") for key in (world.key, other)]
            answer = await world.client.get(f"{PLACE}/fetch/1", headers=headers)
            assert answer.status_code == 401

    asyncio.run(asked())


def test_a_track_id_of_another_key_is_not_found() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            await world.client.post(f"{PLACE}/text2video", json=BODY | {"key": world.key.text})
            other, _ = world.keys.add()
            there, nowhere = [
                await world.client.post(
                    f"{PLACE}/fetch", json={"key": other.text, "track_id": track_id}
                )
                for track_id in ("secret", "nobody's")
            ]
            assert there.status_code == nowhere.status_code == 404
            assert there.text.replace("secret", "nobody's") == nowhere.text

    asyncio.run(asked())


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a"}])
def test_the_same_request_of_another_key_is_a_video_of_its_own(headers: dict[str, str]) -> None:
    async def asked() -> None:
        async with a_world() as world:
            other, _ = world.keys.add()
            ids = [
                (
                    await world.client.post(
                        f"{PLACE}/text2video", json=BODY | {"key": key.text}, headers=headers
                    )
                ).json()["id"]
                for key in (world.key, other)
            ]
            assert len(set(ids)) == 2

    asyncio.run(asked())


def test_a_video_in_another_namespace_that_names_the_key_is_not_its_own() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            await world.client.post(f"{PLACE}/text2video", json=BODY | {"key": world.key.text})
            (document,) = world.server.all_of(RESOURCES)
            document["metadata"] |= {"namespace": "elsewhere", "name": "forged", "uid": "another"}
            world.server.put(RESOURCES, document)
            world.gateway.videos.store.event("ADDED", document, None)
            (forged,) = (video for video in world.videos if video.name == "forged")
            for body in ({"request_id": forged.id}, {"request_id": NOBODYS}):
                answer = await world.client.post(
                    f"{PLACE}/fetch", json=body | {"key": world.key.text}
                )
                assert answer.status_code == 404

    asyncio.run(asked())


def test_who_clears_the_queue_of_one_namespace_leaves_the_others() -> None:
    async def asked() -> None:
        async with a_world() as world:
            await world.client.post(f"{PLACE}/text2video", json=BODY | {"key": world.key.text})
            other, _ = world.keys.add("elsewhere", rights=(Right.USE, Right.OPERATE))
            answer = await world.client.post(f"{PLACE}/clear_queue", json={"key": other.text})
            assert answer.json()["cancelled"] == []
            assert len(world.server.all_of(RESOURCES)) == 1

    asyncio.run(asked())


@pytest.mark.parametrize("image", ["store://../films/uploads/a.png", "store:///films/a.png"])
def test_no_name_in_the_store_leads_to_another_namespace(image: str) -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            body = BODY | {"key": world.key.text, "init_image": image}
            answer = await world.client.post(f"{PLACE}/text2video", json=body)
            assert answer.status_code == 400
            assert "init_image" in answer.json()["message"]

    asyncio.run(asked())


def test_a_key_stands_in_no_answer_resource_or_metric() -> None:
    async def asked() -> None:
        from prometheus_client import generate_latest

        async with a_world() as world:
            answers = [
                await world.client.post(f"{PLACE}/{path}", json=BODY | {"key": world.key.text})
                for path in ("text2video", "fetch", "get_all_models", "system_details", "text2img")
            ]
            said = "".join(answer.text for answer in answers)
            kept = json.dumps(world.server.all_of(RESOURCES))
            counted = generate_latest(world.metrics.registry).decode()
            for place in (said, kept, counted):
                assert world.key.text not in place
            assert world.key.id not in counted
            assert BODY["prompt"] not in counted

    asyncio.run(asked())

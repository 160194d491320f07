"""Whose a video is, the gateway's signature says: a label that anybody can write says nothing."""

import asyncio
from typing import Any

import httpx2
import pytest
from t2v_api.api_key import GRANT_ANNOTATION, KEY_LABEL, Quota, Right, grant
from t2v_api.resource import API_VERSION, KIND
from t2v_gateway.submitting import Once, _name_of
from t2v_gateway.videos import Video, video_of
from t2v_operator.cluster.kinds import RESOURCES

from tests.unit.gateway.world import SECRET, World, a_world

PLACE = "/api/v1/enterprise"
SPEC = {"modelId": "tiny-shapes", "prompt": "a red circle", "trackId": "mine"}
BODY = {"model_id": "tiny-shapes", "prompt": "a red circle", "track_id": "mine"}


def by_hand(world: World, name: str, signature: str = "", **spec: Any) -> Video:
    """What somebody applies with kubectl who may write resources in the key's namespace."""
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": "films",
            "labels": {KEY_LABEL: world.key.id},
            "annotations": {GRANT_ANNOTATION: signature},
        },
        "spec": SPEC | spec,
    }
    world.gateway.videos.store.event("ADDED", world.server.put(RESOURCES, document), None)
    return next(each for each in world.videos if each.name == name)


async def post(world: World, path: str, **body: Any) -> httpx2.Response:
    key = body.pop("key", world.key.text)
    return await world.client.post(f"{PLACE}/{path}", json={"key": key} | body)


def signed(video: Video) -> str:
    return str(video.resource.metadata.annotations[GRANT_ANNOTATION])


def test_a_label_without_a_signature_is_nobodys_in_every_room() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            video = by_hand(world, "v-not-signed")
            bearer = {"Authorization": f"Bearer {world.key.text}"}
            assert (await post(world, f"fetch/{video.id}")).status_code == 404
            assert (await post(world, "fetch", track_id="mine")).status_code == 404
            listed = (await world.client.get("/v1/videos", headers=bearer)).json()
            assert listed["data"] == []
            operator, _ = world.keys.add(rights=(Right.USE, Right.OPERATE))
            told = await post(world, "clear_queue", key=operator.text)
            assert told.json()["cancelled"] == []
            here = {"Origin": "http://gateway", "Sec-Fetch-Site": "same-origin"}
            data = {"key": world.key.text}
            await world.client.post("/page/sign-in", data=data, headers=here)
            assert (await world.client.get("/page/api/videos")).json()["videos"] == []
            assert (await world.client.get(f"/page/api/videos/{video.id}")).status_code == 404

    asyncio.run(asked())


def test_what_is_not_signed_uses_up_nobodys_quota() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            world.key, _ = world.keys.add(quota=Quota(jobs_in_flight=1))
            by_hand(world, "v-not-signed")
            assert (await post(world, "text2video", **BODY)).status_code == 200

    asyncio.run(asked())


@pytest.mark.parametrize("change", ["name", "request", "namespace", "key", "no spec", "no secret"])
def test_a_signature_is_for_one_key_name_and_request(change: str) -> None:
    async def asked() -> None:
        async with a_world() as world:
            await post(world, "text2video", **BODY)
            (document,) = world.server.all_of(RESOURCES)
            secrets = (b"the next one", SECRET)
            assert video_of(document, secrets).key_id == world.key.id
            match change:
                case "name" | "namespace":
                    document["metadata"][change] = "another"
                case "request":
                    document["spec"]["prompt"] = "a blue square"
                case "key":
                    document["metadata"]["labels"][KEY_LABEL] = "0" * 12
                case "no spec":
                    document["spec"] = {}
                case _:
                    secrets = (b"the next one",)
            assert video_of(document, secrets).key_id == ""

    asyncio.run(asked())


def test_a_key_has_no_videos_in_a_namespace_that_is_not_its_own_any_more() -> None:
    async def asked() -> None:
        async with a_world() as world:
            await post(world, "text2video", **BODY)
            key = world.keys.find(world.key.text)
            assert key
            assert len(list(world.gateway.videos.of_key(key))) == 1
            moved = key.model_copy(update={"namespace": "other-films"})
            assert list(world.gateway.videos.of_key(moved)) == []

    asyncio.run(asked())


def test_a_name_that_somebody_else_has_taken_is_passed_over() -> None:
    async def asked() -> None:
        async with a_world() as world:
            first = (await post(world, "text2video", **BODY)).json()["id"]
            video = world.gateway.videos.by_id(first)
            assert video
            world.server.objects.pop((RESOURCES, *video.key))
            taken = by_hand(world, video.name, prompt="something else")
            again = await post(world, "text2video", **BODY)
            assert again.json()["id"] not in (first, taken.id)
            same = await post(world, "text2video", **BODY)
            assert same.json()["id"] == again.json()["id"]

    asyncio.run(asked())


def test_a_name_that_is_taken_at_the_same_time_is_passed_over() -> None:
    async def asked() -> None:
        async with a_world() as world:
            key = world.keys.find(world.key.text)
            assert key
            once = Once("word", "request")
            create = world.server.create

            async def too_late(kind: Any, namespace: str, body: Any) -> Any:
                if body["metadata"]["name"] == _name_of(key, once):
                    by_hand(world, body["metadata"]["name"], prompt="something else")
                return await create(kind, namespace, body)

            world.server.create = too_late  # type: ignore[method-assign]
            spec = by_hand(world, "a-spec").spec
            assert spec
            video = await world.gateway.submitter.submit(key, spec, once)
            assert (video.key_id, video.name) == (key.id, f"{_name_of(key, once)}-1")

    asyncio.run(asked())


def test_another_video_of_the_same_name_is_not_deleted() -> None:
    async def asked() -> None:
        async with a_world() as world:
            video_id = (await post(world, "text2video", **BODY)).json()["id"]
            video = world.gateway.videos.by_id(video_id)
            assert video
            world.server.objects.pop((RESOURCES, *video.key))
            signature = grant(SECRET, world.key.id, *video.key, video.spec.request_hash)  # type: ignore[union-attr]
            document = {
                "metadata": {"name": video.name, "namespace": "films", "annotations": {}},
                "spec": SPEC,
            }
            document["metadata"]["annotations"] = {GRANT_ANNOTATION: signature}
            world.server.put(RESOURCES, document)
            await world.gateway.submitter.delete(video)
            assert len(world.server.all_of(RESOURCES)) == 1

    asyncio.run(asked())

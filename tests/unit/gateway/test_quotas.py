"""What a key may ask for at most."""

import asyncio
from itertools import islice
from typing import Any

import httpx2
from t2v_api.api_key import Quota
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import RESOURCES

from tests.unit.gateway.world import World, a_world

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

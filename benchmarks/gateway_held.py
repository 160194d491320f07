"""How soon a gateway answers while hundreds of others wait for their videos.

    python -m benchmarks.gateway_held [HELD]

One process serves on loopback, with an API server of a few lines behind it; this one asks. Prints
how long other requests take, without and with so many held open.
"""

import asyncio
import statistics
import sys
import time
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection

import httpx2
from t2v_gateway.app import application
from t2v_operator.delivery.asgi import serve

from tests.unit.gateway.test_text2video import DOCUMENTED, URL
from tests.unit.gateway.world import a_world

HELD = 500
ASKED = 200
PORT = 18_651
WAIT_SECONDS = 120.0


def main() -> None:
    held = int(sys.argv[1]) if len(sys.argv) > 1 else HELD
    here, there = Pipe()
    server = Process(target=_serve, args=(there,), daemon=True)
    server.start()
    key = here.recv()
    asyncio.run(_measure(key, held))
    server.terminate()


def _serve(told: Connection) -> None:
    async def serving() -> None:
        async with a_world(wait_seconds=WAIT_SECONDS) as world:
            told.send(world.key.text)
            await serve(application(world.gateway), PORT)

    asyncio.run(serving())


async def _measure(key: str, held: int) -> None:
    address = f"http://127.0.0.1:{PORT}"
    limits = httpx2.Limits(max_connections=held + 10)
    async with httpx2.AsyncClient(
        base_url=address, timeout=WAIT_SECONDS + 10, limits=limits, trust_env=False
    ) as client:
        await _until_it_answers(client)
        print(f"alone: {_told(await _latencies(client, key))}")
        waiting = [
            asyncio.create_task(client.post(URL, json=DOCUMENTED | {"key": key}))
            for _ in range(held)
        ]
        await _until_all_wait(client, key, held)
        print(f"{held} held: {_told(await _latencies(client, key))}")
        still = sum(not each.done() for each in waiting)
        print(f"{still} of them wait still")
        for each in waiting:
            each.cancel()


async def _until_it_answers(client: httpx2.AsyncClient) -> None:
    while True:
        try:
            await client.get("/openapi.json")
            return
        except httpx2.HTTPError:
            await asyncio.sleep(0.1)


async def _until_all_wait(client: httpx2.AsyncClient, key: str, held: int) -> None:
    while True:
        answer = await client.post("/api/v1/enterprise/system_details", json={"key": key})
        if answer.json()["queue"]["waiting"] == held:
            return
        await asyncio.sleep(0.2)


async def _latencies(client: httpx2.AsyncClient, key: str) -> list[float]:
    """Of requests that are refused for their body: milliseconds."""
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        answer = await client.post(URL, json={"key": key, "model_id": "tiny-shapes"})
        assert "prompt" in answer.json()["message"]
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _told(taken: list[float]) -> str:
    ordered = sorted(taken)
    return (
        f"median {statistics.median(ordered):.1f} ms, p99 {ordered[int(0.99 * len(ordered))]:.1f} "
        f"ms, most {ordered[-1]:.1f} ms (n = {len(ordered)})"
    )


if __name__ == "__main__":
    main()

"""How soon receivers of webhooks are told while one of them is dead.

On the tests' cluster (python tests/cluster/harness up) with simulated nodes: videos that finish,
half of them with the webhook of a receiver that takes the connection and never answers. Seconds
from the status that says Succeeded until the other receiver has its POST.

    python benchmarks/webhook_delivery.py --videos 200
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from operator_process import OperatorProcess, configuration
from operator_scale import PORT, SPACE
from simulated_cluster import (
    BRIDGE_ADDRESS,
    RESULT,
    a_video,
    at_a_time,
    clean_up_when_terminated,
    connected,
    free_cluster,
    installed_crds,
    namespace,
    simulated_nodes,
)
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import RESOURCES

DEAD_PORT, LIVING_PORT = 18081, 18082
LIMIT_SECONDS = 180.0


class Receivers:
    """One that notes when it was told of which video, and one that never answers."""

    def __init__(self) -> None:
        self.told: dict[int, float] = {}

    async def start(self) -> list[web.AppRunner]:
        return [await _serve(self._take, LIVING_PORT), await _serve(_hang, DEAD_PORT)]

    async def _take(self, request: web.Request) -> web.Response:
        self.told.setdefault((await request.json())["id"], time.time())
        return web.Response(status=204)


async def _hang(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response(status=204)


async def _serve(handler: Any, port: int) -> web.AppRunner:
    app = web.Application()
    app.router.add_post("/hook", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, BRIDGE_ADDRESS, port).start()
    return runner


async def measure(client: Client, count: int, receivers: Receivers) -> dict[str, Any]:
    def creation(number: int) -> Callable[[], Awaitable[Any]]:
        port = DEAD_PORT if number % 2 else LIVING_PORT
        hook = f"http://{BRIDGE_ADDRESS}:{port}/hook"
        video = a_video(f"video-{number}", SPACE, seed=number, webhook=hook)
        return lambda: client.create(RESOURCES, SPACE, video)

    await at_a_time(8, map(creation, range(count)))
    living = count - count // 2
    deadline = time.monotonic() + LIMIT_SECONDS
    while len(receivers.told) < living and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    ends: dict[int, float] = {}
    for document in (await client.list(RESOURCES, SPACE))["items"]:
        status = document["status"]
        (ready,) = (each for each in status["conditions"] if each["type"] == "Ready")
        ends[status["id"]] = datetime.fromisoformat(ready["lastTransitionTime"]).timestamp()
    late = sorted(told - ends[video] for video, told in receivers.told.items())
    return {
        "videos": count,
        "with a living receiver": living,
        "told": len(late),
        # A condition's time has whole seconds.
        "median, s": round(late[len(late) // 2], 1),
        "slowest, s": round(late[-1], 1),
    }


async def run(count: int, folder: Path) -> None:
    cluster = free_cluster()
    with (
        installed_crds(cluster),
        simulated_nodes(cluster, run_seconds=1.0, message=RESULT.json_line()),
        namespace(cluster, SPACE),
    ):
        receivers = Receivers()
        servers = await receivers.start()
        async with connected(cluster.kubeconfig) as client:
            allowed = {"ranges": [f"{BRIDGE_ADDRESS}/32"]}
            config = folder / "operator.yaml"
            config.write_text(configuration(SPACE, PORT, allowedAddresses=allowed))
            operator = OperatorProcess(
                config, cluster.kubeconfig, folder / "operator.log", f"http://127.0.0.1:{PORT}"
            )
            try:
                await operator.wait_until(operator.leads, "leading", every=0.5)
                print(json.dumps(await measure(client, count, receivers)))
            finally:
                operator.kill()
                for server in servers:
                    await server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=200)
    options = parser.parse_args()
    clean_up_when_terminated()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(options.videos, Path(folder)))


if __name__ == "__main__":
    main()

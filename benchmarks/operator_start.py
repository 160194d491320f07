"""How long the operator takes from its start until it says that it is ready, and what it costs.

Against an API server of a few lines without any objects, so that what is measured is the process:
imports, certificates, its first requests. No cluster is needed.

    python benchmarks/operator_start.py [--rounds 5] [--command PROGRAM...]
"""

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from operator_process import OperatorProcess, configuration, cpu_seconds

NAMESPACE = "default"
HEALTH_PORT = 18082
OBJECT = re.compile(r"/(api/v1|apis/[^/]+/[^/]+)(/namespaces/[^/]+)?/[^/]+(/(?P<name>.+))?")


class EmptyApiServer:
    """Takes whatever is written, lists nothing, and has no news."""

    def __init__(self) -> None:
        self._objects: dict[str, Any] = {}
        self._end = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address."""
        app = web.Application()
        app.router.add_get("/version", self._version)
        app.router.add_get("/{path:.*}", self._read)
        app.router.add_route("*", "/{path:.*}", self._write)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            self._end.set()
            await runner.cleanup()

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"major": "1", "minor": "34"})

    async def _read(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            response = web.StreamResponse()
            await response.prepare(request)
            await self._end.wait()
            return response
        if found := self._objects.get(request.path):
            return web.json_response(found)
        place = OBJECT.fullmatch(request.path)
        if place and place["name"]:
            gone = {"reason": "NotFound", "message": "it is not there"}
            return web.json_response(gone, status=404)
        metadata = {"resourceVersion": "1"}
        return web.json_response({"metadata": metadata, "items": [], "groups": [], "resources": []})

    async def _write(self, request: web.Request) -> web.Response:
        document = await request.json()
        is_new = request.method == "POST"
        name = document.get("metadata", {}).get("name")
        self._objects[f"{request.path}/{name}" if is_new else request.path] = document
        return web.json_response(document, status=201 if is_new else 200)


async def measure(rounds: int, command: list[str]) -> None:
    """Print each round, then the medians."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            async with EmptyApiServer().serving() as address:
                results.append(await _round(Path(folder), address, command))
                print("ready after {:.2f} s, {:.2f} CPU s, {:.0f} MiB".format(*results[-1]))
    medians = [statistics.median(each) for each in zip(*results, strict=True)]
    print("medians: {:.2f} s, {:.2f} CPU s, {:.0f} MiB".format(*medians))


async def _round(folder: Path, address: str, command: list[str]) -> tuple[float, float, float]:
    kubeconfig, config = folder / "kubeconfig", folder / "config.yaml"
    here = {"name": "here", "context": {"cluster": "here"}}
    cluster = {"name": "here", "cluster": {"server": address}}
    kubeconfig.write_text(
        yaml.safe_dump({"current-context": "here", "contexts": [here], "clusters": [cluster]})
    )
    config.write_text(configuration(NAMESPACE, HEALTH_PORT))
    url = f"http://127.0.0.1:{HEALTH_PORT}"
    operator = OperatorProcess(config, kubeconfig, folder / "log", url, command=command)
    try:
        seconds = await operator.wait_until(operator.is_ready, "ready", every=0.02)
        return seconds, cpu_seconds(operator.pid), operator.peak_mib()
    finally:
        operator.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    default = [sys.executable, "-m", "t2v_operator"]
    parser.add_argument(
        "--command", nargs=argparse.REMAINDER, default=default, help="the last: what starts it"
    )
    options = parser.parse_args()
    asyncio.run(measure(options.rounds, options.command))


if __name__ == "__main__":
    main()

"""How long the operator's looks take while videos are uploaded to the embedded store.

On the tests' cluster (python tests/cluster/harness up), with a pod of a simulated node for each
video: its real token opens the operator's own report server, where a runner's own code reports and
asks for grants; the files go to `t2v store`. Meanwhile resources are edited at a steady pace, and
each edit is a look. The same reports and edits without uploads come first. Runners are elsewhere in
real life: here they have the lowest priority.

    python benchmarks/looks_under_uploads.py --videos 200 --megabytes 20
"""

import argparse
import asyncio
import base64
import itertools
import json
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from operator_process import OperatorProcess, configuration
from operator_scale import FOREVER, PORT, SPACE
from simulated_cluster import (
    a_video,
    at_a_time,
    clean_up_when_terminated,
    connected,
    free_cluster,
    installed_crds,
    namespace,
    simulated_nodes,
)
from store_load import KEY, all_at_once, free_port, store_process
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import PODS, RESOURCES, SECRETS, Kind
from t2v_operator.core.names import JOB_LABEL
from t2v_runner.report_server import ReportAddress

OWN_SPACE = "default"
"""The operator's, outside of a cluster."""
KEYS, REPORT = "bench-looks-store", "bench-looks-report"
AUDIENCE = "bench"
ACCOUNTS = Kind("/api/v1", "serviceaccounts")
EDITS_PER_SECOND = 10
ELSEWHERE = 19
"""The runners' niceness."""
QUIET_SECONDS = 20.0


class Looks:
    """The mean time of the looks since it was made."""

    def __init__(self, operator: OperatorProcess) -> None:
        self._operator = operator
        self._before = self._read()

    def figures(self) -> dict[str, float]:
        seconds, count = (now - then for now, then in zip(self._read(), self._before, strict=True))
        return {"looks": count, "ms": round(1000 * seconds / max(count, 1), 1)}

    def _read(self) -> tuple[float, float]:
        metric = self._operator.metric
        return metric("t2v_look_seconds_sum"), metric("t2v_look_seconds_count")


async def edit(client: Client, names: list[str]) -> None:
    """One resource after the other, until cancelled: each is looked at."""
    for number in itertools.count():
        name = names[number % len(names)]
        await client.patch(RESOURCES, SPACE, name, {"spec": {"trackId": f"order-{number}"}})
        await asyncio.sleep(1 / EDITS_PER_SECOND)


async def token_of(client: Client, pod: str) -> str:
    bound = {"apiVersion": "v1", "kind": "Pod", "name": pod}
    spec = {"audiences": [AUDIENCE], "boundObjectRef": bound, "expirationSeconds": 3600}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    tokens = Kind(ACCOUNTS.path(SPACE, "default"), "token")
    answer = await client.create(tokens, "", request)
    return str(answer["status"]["token"])


async def running_pods(client: Client, count: int) -> list[str]:
    """Their names, when so many run."""
    while True:
        found = await client.list(PODS, SPACE, labelSelector=JOB_LABEL)
        names = [
            pod["metadata"]["name"]
            for pod in found["items"]
            if pod["status"].get("phase") == "Running"
        ]
        if len(names) == count:
            return names
        await asyncio.sleep(1)


async def measure(
    client: Client, operator: OperatorProcess, options: argparse.Namespace, folder: Path, port: int
) -> dict[str, Any]:
    await operator.wait_until(operator.leads, "leading", every=0.5)
    names = [f"video-{number}" for number in range(options.videos)]

    def creation(number: int, name: str) -> Callable[[], Awaitable[Any]]:
        return lambda: client.create(RESOURCES, SPACE, a_video(name, SPACE, seed=number))

    await at_a_time(8, (creation(number, name) for number, name in enumerate(names)))
    pods = await running_pods(client, options.videos)
    tokens = [await token_of(client, pod) for pod in pods]
    await operator.settle()
    secret = await client.get(SECRETS, OWN_SPACE, REPORT)
    assert secret
    authority = base64.b64decode(secret["data"]["ca.crt"]).decode()
    address = ReportAddress(f"https://localhost:{port}", authority, folder / "no-token")
    video = folder / "made" / "video.mp4"
    video.parent.mkdir()
    video.write_bytes(secrets.token_bytes(options.megabytes * 1_000_000))
    editing = asyncio.create_task(edit(client, names))
    try:
        await asyncio.to_thread(all_at_once, address, tokens, None, ELSEWHERE)
        await asyncio.sleep(QUIET_SECONDS)
        quiet = Looks(operator)
        await asyncio.to_thread(all_at_once, address, tokens, None, ELSEWHERE)
        await asyncio.sleep(QUIET_SECONDS)
        without, loaded = quiet.figures(), Looks(operator)
        uploads = await asyncio.to_thread(all_at_once, address, tokens, video, ELSEWHERE)
        under_load = loaded.figures()
    finally:
        editing.cancel()
        with suppress(asyncio.CancelledError):
            await editing
    return {
        "videos": options.videos,
        "without uploads": without,
        "while videos are uploaded": under_load,
        "ratio": round(under_load["ms"] / without["ms"], 2),
        "slowest upload, s": round(uploads[-1], 1),
        "operator's peak RSS, MiB": round(operator.peak_mib()),
    }


async def run(options: argparse.Namespace, folder: Path) -> None:
    cluster = free_cluster()
    with (
        installed_crds(cluster),
        simulated_nodes(cluster),
        namespace(cluster, SPACE),
        store_process(folder) as (store_port, _),
    ):
        async with connected(cluster.kubeconfig) as client:
            keys = {"current": base64.b64encode(KEY).decode()}
            metadata = {"name": KEYS, "namespace": OWN_SPACE}
            await client.create(SECRETS, OWN_SPACE, {"metadata": metadata, "data": keys})
            port, store = free_port(), f"http://127.0.0.1:{store_port}"
            more: dict[str, Any] = {
                "storage": {"kind": "embedded", "url": store, "keysSecret": KEYS},
                "reportServer": {
                    "url": f"https://localhost:{port}",
                    "port": port,
                    "secret": REPORT,
                    "audience": AUDIENCE,
                },
            }
            config = folder / "operator.yaml"
            config.write_text(configuration(SPACE, PORT, **more, **FOREVER))
            operator = OperatorProcess(
                config, cluster.kubeconfig, folder / "operator.log", f"http://127.0.0.1:{PORT}"
            )
            try:
                print(json.dumps(await measure(client, operator, options, folder, port)))
            finally:
                operator.kill()
                for name in (KEYS, REPORT):
                    await client.delete(SECRETS, OWN_SPACE, name, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--megabytes", type=int, default=20)
    options = parser.parse_args()
    clean_up_when_terminated()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(options, Path(folder)))


if __name__ == "__main__":
    main()

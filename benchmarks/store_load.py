"""Many runners at once at the embedded store: report, upload 20 MB each; beside versitygw.

Every client is a runner's own code (ReportServer, upload) in a thread of a few processes, over TLS
to a real report server on this machine, with a real store behind it.

    python benchmarks/store_load.py --clients 200 --megabytes 20
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "cluster")]

from harness.s3 import s3_server  # noqa: E402
from t2v_api.progress import Progress, Stage  # noqa: E402
from t2v_operator.config import BucketStorage, EmbeddedStorage  # noqa: E402
from t2v_operator.delivery.asgi import load_certificate, serve  # noqa: E402
from t2v_operator.delivery.certificates import make_certificate  # noqa: E402
from t2v_operator.delivery.report_server import Caller, report_app  # noqa: E402
from t2v_operator.delivery.signatures import SigningKeys  # noqa: E402
from t2v_operator.delivery.stores import BucketStore, EmbeddedStore, Store  # noqa: E402
from t2v_runner.report_server import ReportAddress, ReportServer  # noqa: E402
from t2v_runner.upload import upload  # noqa: E402

PROCESSES = 4
KEY = b"a secret of 16 bytes"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def store_process(folder: Path) -> Iterator[tuple[int, int]]:
    """`t2v store` on a free port: the port and the process id."""
    keys, data, port = folder / "keys", folder / "data", free_port()
    keys.mkdir()
    data.mkdir()
    (keys / "current").write_bytes(KEY)
    words = ["store", "--folder", str(data), "--keys", str(keys), "--port", str(port)]
    with subprocess.Popen([sys.executable, "-m", "t2v_operator", *words]) as process:
        try:
            for _ in range(200):
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                time.sleep(0.05)
            yield port, process.pid
        finally:
            process.terminate()


@contextmanager
def report_server(storage: Any, folder: Path) -> Iterator[ReportAddress]:
    """One whose callers are whoever their token says: the load is on what comes after that."""
    made, port = make_certificate(["localhost"], datetime.now(UTC)), free_port()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(tls, made.certificate, made.key)
    told: list[Progress] = []

    class Newsroom:
        async def progress(self, _: Caller, progress: Progress) -> None:
            told.append(progress)

        async def outcome(self, *_: Any) -> None:
            return

    async def identify(token: str) -> Caller:
        return Caller("bench", f"pod-{token}", token, f"job-{token}", f"videos/bench/{token}")

    async def lead(*_: Any) -> None:
        return None

    async def run(ready: threading.Event) -> None:
        from aiohttp import ClientSession

        async with ClientSession() as session:
            store: Store = (
                BucketStore(storage)
                if isinstance(storage, BucketStorage)
                else EmbeddedStore(storage, SigningKeys((KEY,)), session)
            )
            serving = asyncio.create_task(
                serve(report_app(identify, Newsroom(), lead, store), port, tls)
            )
            state["stop"] = (asyncio.get_running_loop(), serving)
            ready.set()
            with suppress(asyncio.CancelledError):
                await serving

    state: dict[str, Any] = {}
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(run(ready)))
    thread.start()
    ready.wait()
    time.sleep(0.5)
    try:
        yield ReportAddress(
            f"https://localhost:{port}", made.authority.decode(), folder / "no-token"
        )
    finally:
        loop, serving = state["stop"]
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()


def clients(
    address: ReportAddress, tokens: list[str], video: Path | None, folder: Path
) -> list[float]:
    """Each has a token, reports, then uploads, if there is a video; the seconds that took."""

    def one(token: str) -> float:
        file = folder / secrets.token_hex(8)
        file.write_text(token)
        with ReportServer(replace(address, token_file=file)) as server:
            for percent in range(5):
                server.tell_progress(
                    Progress(
                        stage=Stage.DENOISE,
                        step=percent,
                        steps=5,
                        percent=percent,
                        updated_time=datetime.now(UTC),
                    )
                )
            began = time.monotonic()
            if video:
                upload(video.parent, [video.name], server, lambda: None)
            return time.monotonic() - began

    with ThreadPoolExecutor(len(tokens)) as threads:
        return list(threads.map(one, tokens))


def all_at_once(
    address: ReportAddress, tokens: list[str], video: Path | None, niceness: int = 0
) -> list[float]:
    """In a few processes; the seconds of each upload, the fastest first."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(PROCESSES, initializer=os.nice, initargs=(niceness,)) as processes,
    ):
        shares = [tokens[start::PROCESSES] for start in range(PROCESSES)]
        jobs = [processes.submit(clients, address, share, video, Path(folder)) for share in shares]
        return sorted(each for job in jobs for each in job.result())


def measure(name: str, address: ReportAddress, count: int, video: Path, pid: int) -> dict[str, Any]:
    began = time.monotonic()
    seconds = all_at_once(address, [str(number) for number in range(count)], video)
    whole = time.monotonic() - began
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    megabytes = video.stat().st_size / 1e6 * count
    return {
        "store": name,
        "clients": count,
        "seconds": round(whole, 1),
        "MB/s": round(megabytes / whole, 1),
        "slowest upload, s": round(seconds[-1], 1),
        "store's peak RSS, MiB": int(peak) // 1024,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--megabytes", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("T2V_BENCH_FOLDER")) as place:
        folder = Path(place)
        video = folder / "made" / "video.mp4"
        video.parent.mkdir()
        video.write_bytes(secrets.token_bytes(options.megabytes * 1_000_000))
        with store_process(folder) as (port, pid):
            storage = EmbeddedStorage(url=f"http://127.0.0.1:{port}")
            with report_server(storage, folder) as address:
                print(json.dumps(measure("embedded", address, options.clients, video, pid)))
        with s3_server("127.0.0.1", folder / "s3") as s3:
            s3.make_bucket("bench")
            os.environ["AWS_ACCESS_KEY_ID"] = s3.access_key
            os.environ["AWS_SECRET_ACCESS_KEY"] = s3.secret_key
            bucket = BucketStorage(
                kind="s3",
                bucket="bench",
                options={"endpoint": s3.endpoint, "region": s3.region},
            )
            listening = subprocess.run(
                ["pgrep", "-f", "versitygw --port"], capture_output=True, text=True, check=True
            )
            with report_server(bucket, folder) as address:
                gateway = int(listening.stdout.split()[-1])
                print(json.dumps(measure("versitygw", address, options.clients, video, gateway)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

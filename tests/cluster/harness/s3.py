"""A real S3 server for one test run: versitygw over a folder."""

import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.commands import Words
from harness.go_programs import go_program
from harness.waiting import wait_until


@dataclass(frozen=True)
class S3Server:
    """What a client needs. Path-style addresses; every folder below `folder` is a bucket."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str
    folder: Path

    def make_bucket(self, name: str) -> None:
        (self.folder / name).mkdir()


@contextmanager
def s3_server(address: str, folder: Path) -> Iterator[S3Server]:
    """Serve `folder` on a free port of `address` until the block ends."""
    port = _free_port(address)
    buckets, log = folder / "buckets", folder / "log"
    buckets.mkdir(parents=True)
    server = S3Server(
        endpoint=f"http://{address}:{port}",
        access_key=secrets.token_hex(8),
        secret_key=secrets.token_hex(20),
        region="us-east-1",
        folder=buckets,
    )
    command: Words = [go_program("versitygw"), "--port", f"{address}:{port}", "posix", buckets]
    credentials = {
        "ROOT_ACCESS_KEY": server.access_key,
        "ROOT_SECRET_KEY": server.secret_key,
        "VGW_REGION": server.region,
    }
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=credentials, stdout=output, stderr=output) as process,
    ):
        try:
            wait_until(lambda: _answers(address, port), f"versitygw answers (log: {log})", 30)
            yield server
        finally:
            process.terminate()


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as taken:
        return int(taken.getsockname()[1])


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True

"""A report server and an embedded store that run, and a pod that may use them, for tests."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from t2v_api.delivery import RECORD_FILE
from t2v_api.progress import Progress
from t2v_api.result import GenerationResult, read_outcome
from t2v_operator.config import EmbeddedStorage
from t2v_operator.delivery.asgi import load_certificate
from t2v_operator.delivery.certificates import make_certificate
from t2v_operator.delivery.report_server import Caller, Outcome, UnknownCaller, report_app
from t2v_operator.delivery.signatures import SigningKeys
from t2v_operator.delivery.store_server import store_app
from t2v_operator.delivery.stores import EmbeddedStore
from t2v_runner.report_server import ReportAddress, ReportServer

from tests.unit.delivery.serving import served
from tests.unit.observations import a_result

CALLER = Caller("films", "pod-1", "red-circle", "red-circle-1", "videos/films/0123")
FILES = ("video.mp4", "poster.jpg", "preview.webp", RECORD_FILE)
KEYS = SigningKeys((b"a secret of 16 bytes",))


@dataclass
class Operator:
    """What the report server hands to the operator."""

    caller: Caller = CALLER
    told: list[Progress] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    leader: Response | None = None

    async def identify(self, token: str) -> Caller:
        if token != "the pod's token":
            raise UnknownCaller("the token is not one of a pod that may report here")
        return self.caller

    async def progress(self, caller: Caller, progress: Progress) -> None:
        self.told.append(progress)

    async def outcome(self, caller: Caller, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    async def hand_on(self, _: Request, __: bytes) -> Response | None:
        return self.leader


@dataclass
class World:
    """A store and a report server that run, and a pod that may use them."""

    operator: Operator
    address: ReportAddress
    stored: Path
    made: Path
    store_port: int

    def server(self, **changes: Any) -> ReportServer:
        return ReportServer(replace(self.address, **changes))

    def result(self) -> GenerationResult:
        """The record of the video in `made`, which is written there."""
        self.made.mkdir(exist_ok=True)
        record = read_outcome(a_result())
        assert isinstance(record, GenerationResult)
        whole = record.model_copy(update={"output": FILES[:-1]})
        for name in FILES[:-1]:
            (self.made / name).write_bytes(name.encode() * 1000)
        size = (self.made / "video.mp4").stat().st_size
        whole = whole.model_copy(update={"video": whole.video.model_copy(update={"bytes": size})})
        (self.made / RECORD_FILE).write_text(whole.json_line())
        return whole

    def files(self) -> list[str]:
        folder = self.stored / "videos"
        return sorted(p.name for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


@contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """All of it on this machine, its files below `folder`, until the block ends."""
    operator, made = Operator(), make_certificate(["localhost"], datetime.now(UTC))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(tls, made.certificate, made.key)
    stored = folder / "store"
    stored.mkdir()
    token = folder / "token"
    token.write_text("the pod's token\n")
    with served(store_app(stored, lambda: KEYS)) as store_port:
        inside = f"http://127.0.0.1:{store_port}"
        storage = EmbeddedStorage(url="https://videos.example.com", internal_url=inside)

        @asynccontextmanager
        async def app() -> AsyncIterator[Starlette]:
            async with ClientSession() as session:
                store = EmbeddedStore(storage, KEYS, session)
                yield report_app(operator.identify, operator, operator.hand_on, store)

        with served(app(), tls) as port:
            address = ReportAddress(f"https://localhost:{port}", made.authority.decode(), token)
            yield World(operator, address, stored, folder / "made", store_port)

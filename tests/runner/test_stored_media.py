"""Init media of the store, from the pod's token to the bytes, over real connections."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from t2v_api.reasons import EXIT_CODES, ExitCode
from t2v_operator.delivery.stores import EmbeddedStore, StoredFile, StoreUnavailable
from t2v_runner import stored_media
from t2v_runner.errors import InitMediaRefused, InitMediaUnavailable, Stopped
from t2v_runner.generate import generate
from t2v_runner.order import MediaRules, Order
from t2v_runner.report_server import Refused, ReportServer
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal
from t2v_runner.stored_media import read_init_media

from tests.contract.delivery_world import CALLER, FILES, World, a_world
from tests.unit.builders import a_job

NAME, KEY = "store://uploads/cat.png", "videos/films/uploads/cat.png"
END_NAME, END_KEY = "store://uploads/dog.png", "videos/films/uploads/dog.png"
BODY = b"the media"
MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        made.operator.caller = replace(CALLER, init_media={NAME: KEY, END_NAME: END_KEY})
        yield made


def store(world: World, body: bytes = BODY, key: str = KEY) -> None:
    path = world.stored / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def read(server: ReportServer | None, **seams: Any) -> bytes:
    return read_init_media(NAME, server, lambda: None, **seams)


def in_vain(seconds: float) -> None:
    raise AssertionError("it is of no use to wait for this")


def test_a_file_of_the_store_is_read_and_its_link_is_told_nobody(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    store(world)
    caplog.set_level(logging.INFO)
    with world.server() as server:
        assert read(server) == BODY
        link = server.ask_for_init_media(NAME).url
    assert link
    assert link.startswith(f"http://127.0.0.1:{world.store_port}/{KEY}?"), "the inner address"
    # pytest also hears what a server keeps to itself.
    said = [each.getMessage() for each in caplog.records if each.name != "uvicorn.access"]
    assert said
    assert not any("signature" in each for each in said)


def test_a_file_that_is_missing_is_refused_at_once(world: World) -> None:
    missing = r"^store://uploads/cat\.png is not in the store of namespace films$"
    with world.server() as server, pytest.raises(InitMediaRefused, match=missing):
        read(server, sleep=in_vain)


def test_a_folder_is_no_file(world: World) -> None:
    (world.stored / KEY).mkdir(parents=True)
    with world.server() as server, pytest.raises(InitMediaRefused, match="is not in the store"):
        read(server, sleep=in_vain)


def test_a_file_that_cannot_be_taken_is_refused_at_once(world: World) -> None:
    store(world, b"")
    with world.server() as server, pytest.raises(InitMediaRefused, match="without a body"):
        read(server, sleep=in_vain)


def test_a_request_that_names_no_file_of_the_store_opens_none(world: World) -> None:
    store(world)
    world.operator.caller = CALLER
    with world.server() as server, pytest.raises(Refused, match=r"404.*names no such file"):
        server.ask_for_init_media(NAME)


def test_each_of_two_files_is_opened_by_its_own_name_and_no_third_one(world: World) -> None:
    store(world, b"a cat")
    store(world, b"a dog", END_KEY)
    store(world, b"a secret", "videos/films/uploads/secret.png")
    with world.server() as server:
        assert read(server) == b"a cat"
        assert read_init_media(END_NAME, server, lambda: None) == b"a dog"
        for name in ("store://uploads/secret.png", END_KEY, "", f"{NAME}&name={END_NAME}"):
            with pytest.raises(Refused, match=r"404.*names no such file"):
                server.ask_for_init_media(name)


def test_another_pods_token_opens_none(world: World, tmp_path: Path) -> None:
    store(world)
    other = tmp_path / "other"
    other.write_text("somebody's token")
    with world.server(token_file=other) as server, pytest.raises(Refused, match="403"):
        server.ask_for_init_media(NAME)


def test_what_is_away_for_a_while_is_waited_for(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First nobody knows the pod, then the store is away, then it does not give what it has."""
    find, pauses = EmbeddedStore.find, list[float]()
    token = tmp_path / "unknown yet"
    token.write_text("another token")

    async def find_later(self: EmbeddedStore, key: str) -> StoredFile | None:
        if len(pauses) == 1:
            raise StoreUnavailable("the store: TimeoutError")
        return StoredFile(len(BODY)) if len(pauses) == 2 else await find(self, key)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        token.write_text("the pod's token")
        if len(pauses) == 3:
            store(world)

    monkeypatch.setattr(EmbeddedStore, "find", find_later)
    with world.server(token_file=token) as server:
        assert read(server, sleep=sleep) == BODY
    assert len(pauses) == 3
    assert pauses[0] < pauses[1] < pauses[2]


def test_what_stays_away_ends_it_in_time(world: World) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    with (
        world.server(url="https://localhost:1") as server,
        pytest.raises(InitMediaUnavailable, match=r"cat\.png: the report server: Connect") as end,
    ):
        read(server, sleep=sleep, monotonic=lambda: now)
    assert stored_media.PATIENCE_SECONDS / 2 < now <= stored_media.PATIENCE_SECONDS
    assert EXIT_CODES[end.value.reason] == ExitCode.STORAGE_OR_NETWORK


def test_whoever_asks_to_stop_does_not_wait_for_it(world: World) -> None:
    def stop() -> None:
        raise Stopped("stopped")

    with world.server(url="https://localhost:1") as server, pytest.raises(Stopped):
        read_init_media(NAME, server, stop)


def test_one_machine_has_no_store() -> None:
    with pytest.raises(InitMediaRefused, match="give an http, https or file URL"):
        read(None)


def test_one_video_is_made_from_another_that_is_in_the_store(world: World, tmp_path: Path) -> None:
    def make(folder: Path, server: ReportServer | None = None, **spec: Any) -> str:
        job = a_job(numInferenceSteps=2, seed=1, **spec)
        media = MediaRules(folder=tmp_path)
        order = Order(job.request, job.profile, folder, MODELS, media, uploads=server is not None)
        result = generate(order, Reporter(lambda _: None, StopSignal()), server)
        return result.video.frames_sha256

    make(tmp_path / "first")
    video = tmp_path / "first" / "video.mp4"
    store(world, video.read_bytes())
    expected = make(tmp_path / "from-file", initVideo=video.as_uri(), strength=0.5)
    with world.server() as server:
        made = make(tmp_path / "from-store", server, initVideo=NAME, strength=0.5)
    assert made == expected
    assert set(FILES) <= set(world.files())

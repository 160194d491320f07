"""The runner, the report server and the embedded store, over real connections on this machine."""

import hashlib
import json
import logging
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from t2v_api.delivery import BODY_BYTES, PROGRESS_PATH, RECORD_FILE, RESULT_PATH, UPLOADS_PATH
from t2v_api.progress import Progress, Stage
from t2v_api.result import GenerationResult
from t2v_operator.delivery.certificates import make_certificate
from t2v_runner import upload as upload_module
from t2v_runner.errors import Stopped, StorageFailed
from t2v_runner.generate import generate
from t2v_runner.order import MediaRules, Order
from t2v_runner.program import set_up_logging
from t2v_runner.publish import left_behind
from t2v_runner.report_server import (
    NotAnswered,
    ProgressTeller,
    Refused,
)
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal
from t2v_runner.upload import upload

from tests.contract.delivery_world import CALLER, FILES, World, a_world
from tests.unit.builders import a_job
from tests.unit.delivery.serving import client

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


def a_file(name: str, size: int) -> bytes:
    file = {"name": name, "bytes": size, "sha256": "0" * 64, "md5": "0" * 32}
    return json.dumps({"files": [file]}).encode()


def go_on() -> None:
    """Nobody asked to stop."""


def test_a_video_that_could_not_be_uploaded_is_not_made_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job(numInferenceSteps=2, seed=1)
    order = Order(
        job.request, job.profile, tmp_path / "made", MODELS, MediaRules(None), uploads=True
    )
    stages: list[Stage] = []

    def run() -> GenerationResult:
        stages.clear()
        reporter = Reporter(lambda progress: stages.append(progress.stage), StopSignal())
        with world.server() as server:
            return generate(order, reporter, server)

    monkeypatch.setattr(upload_module, "REFUSALS", 1)
    monkeypatch.setattr(world.operator, "caller", replace(CALLER, folder=None))
    with pytest.raises(StorageFailed, match="goes to no store"):
        run()
    assert Stage.DENOISE in stages
    monkeypatch.setattr(world.operator, "caller", CALLER)
    made = (tmp_path / "made" / "video.mp4").read_bytes()
    result = run()
    assert stages == [Stage.START, Stage.UPLOAD]
    assert world.files() == sorted(FILES)
    assert hashlib.sha256(made).hexdigest() == result.video.sha256
    # Half a video is none.
    (tmp_path / "made" / "video.mp4").write_bytes(made[:-1])
    assert left_behind(tmp_path / "made") is None


def test_a_video_goes_to_its_own_keys_with_nothing_but_the_pods_token(world: World) -> None:
    result = world.result()
    with world.server() as server:
        assert server.finished_before() is None
        upload(world.made, FILES, server, go_on)
        server.tell_outcome(result)
        assert server.finished_before() == result
    assert world.files() == sorted(FILES)
    assert world.operator.outcomes == [result]
    folder = world.stored / "videos" / "films" / "0123"
    assert all((folder / n).read_bytes() == (world.made / n).read_bytes() for n in FILES)


def test_a_runner_does_not_log_its_grants(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.result()
    caplog.set_level(logging.INFO, logger="httpx2")
    set_up_logging()
    with world.server() as server, caplog.at_level(logging.INFO):
        upload(world.made, FILES, server, go_on)
    # pytest also hears what a server keeps to itself.
    said = [each.getMessage() for each in caplog.records if each.name != "uvicorn.access"]
    assert not any("signature" in each for each in said)


def test_a_video_that_lacks_a_file_is_not_there(world: World) -> None:
    result = world.result()
    with world.server() as server:
        upload(world.made, FILES, server, go_on)
        (world.stored / "videos" / "films" / "0123" / "poster.jpg").unlink()
        assert server.finished_before() is None
        with pytest.raises(Refused, match=r"409.*poster\.jpg is not in the store"):
            server.tell_outcome(result)
    assert world.operator.outcomes == []


def test_another_runs_files_of_the_same_size_are_replaced(world: World) -> None:
    """Two runs may differ in bytes: the record is always of the video beside it."""
    world.result()
    with world.server() as server:
        upload(world.made, FILES, server, go_on)
        for name in FILES:
            size = (world.made / name).stat().st_size
            (world.made / name).write_bytes(b"2" * size)
        upload(world.made, FILES, server, go_on)
    folder = world.stored / "videos" / "films" / "0123"
    assert all((folder / n).read_bytes() == (world.made / n).read_bytes() for n in FILES)


def test_a_record_that_is_no_small_file_is_none(world: World) -> None:
    world.result()
    with world.server() as server:
        upload(world.made, FILES, server, go_on)
        (world.stored / "videos" / "films" / "0123" / RECORD_FILE).write_bytes(b"[" * 10**6)
        assert server.finished_before() is None


def test_what_may_not_be_reused_is_not_offered(world: World) -> None:
    world.result()
    world.operator.caller = replace(CALLER, may_reuse=False)
    with world.server() as server:
        upload(world.made, FILES, server, go_on)
        assert server.finished_before() is None


def test_a_store_that_is_away_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.result()
    put, tries = httpx2.put, 0

    def put_later(*words: Any, **options: Any) -> httpx2.Response:
        nonlocal tries
        tries += 1
        if tries in (1, 3):
            raise httpx2.ConnectError("nobody there")
        return put(*words, **options)

    monkeypatch.setattr(httpx2, "put", put_later)
    pauses: list[float] = []
    with world.server() as server:
        upload(world.made, FILES, server, go_on, sleep=pauses.append)
    assert world.files() == sorted(FILES)
    assert (tries, len(pauses)) == (6, 2)


def test_a_store_that_refuses_for_good_is_told_without_its_url(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.result()
    refusal = httpx2.Response(403, text="<Error>AccessDenied</Error>")
    monkeypatch.setattr(httpx2, "put", lambda *_, **__: refusal)
    with world.server() as server, pytest.raises(StorageFailed) as failure:
        upload(world.made, FILES, server, go_on, sleep=lambda _: None)
    assert "the store answered 403: <Error>AccessDenied</Error>" in str(failure.value)
    assert "signature" not in str(failure.value)
    assert world.files() == []


def test_a_store_that_stays_away_ends_it_in_time(world: World) -> None:
    world.result()
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    with world.server(url="https://localhost:1") as server, pytest.raises(StorageFailed):
        upload(world.made, FILES, server, go_on, sleep=sleep, monotonic=lambda: now)
    assert now <= upload_module.UPLOAD_SECONDS


def test_whoever_asks_to_stop_does_not_wait_for_the_store(world: World) -> None:
    world.result()

    def stop() -> None:
        raise Stopped("stopped")

    with world.server(url="https://localhost:1") as server, pytest.raises(Stopped):
        upload(world.made, FILES, server, stop)


def test_progress_arrives_and_never_holds_anything_up(world: World) -> None:
    said = [_progress(percent) for percent in range(100)]
    with world.server() as server, ProgressTeller(server.tell_progress, 0.05) as tell:
        for each in said:
            tell(each)
        while not world.operator.told or world.operator.told[-1] != said[-1]:
            pass
    assert len(world.operator.told) < 10, "the latest alone is told"


def test_a_report_server_that_is_away_is_no_fault(world: World) -> None:
    with world.server(url="https://localhost:1") as server:
        with ProgressTeller(server.tell_progress, 0.01) as tell:
            tell(_progress(1))
        with pytest.raises(NotAnswered):
            server.tell_outcome(world.result())


def test_another_authority_is_not_trusted(world: World) -> None:
    other = make_certificate(["localhost"], datetime.now(UTC)).authority.decode()
    with world.server(certificate_authority=other) as server, pytest.raises(NotAnswered):
        server.tell_progress(_progress(1))


def test_another_token_is_refused_and_not_repeated(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("somebody's token")
    with world.server(token_file=other) as server, pytest.raises(Refused) as refusal:
        server.finished_before()
    assert refusal.value.status == 403
    assert "somebody" not in str(refusal.value)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        pytest.param("POST", PROGRESS_PATH, {}, b"{}", 401, id="no token"),
        pytest.param("POST", PROGRESS_PATH, None, b"{}", 422, id="no progress"),
        pytest.param("POST", RESULT_PATH, None, b"[]", 422, id="no record"),
        pytest.param("POST", UPLOADS_PATH, None, b'{"files": []}', 422, id="no files"),
        pytest.param(
            "POST",
            UPLOADS_PATH,
            None,
            b'{"files":[{"name":"../x.mp4","bytes":1,"sha256":"%s","md5":"%s"}]}'
            % (b"0" * 64, b"0" * 32),
            422,
            id="another folder",
        ),
        pytest.param("POST", UPLOADS_PATH, None, a_file("other.mp4", 1), 422, id="another name"),
        pytest.param("POST", UPLOADS_PATH, None, a_file("video.mp4", 2**33), 422, id="a huge one"),
        pytest.param(
            "POST", UPLOADS_PATH, None, a_file(RECORD_FILE, BODY_BYTES + 1), 422, id="a huge record"
        ),
        pytest.param("POST", PROGRESS_PATH, None, b" " * (BODY_BYTES + 1), 413, id="too much"),
        pytest.param("GET", "/", None, b"", 404, id="another path"),
    ],
)
def test_what_is_no_request_is_refused(
    world: World, method: str, path: str, headers: Any, body: bytes, status: int
) -> None:
    tls = ssl.create_default_context(cadata=world.address.certificate_authority)
    shown = {"Authorization": "Bearer the pod's token"} if headers is None else headers
    with client(verify=tls) as any_client:
        url = f"{world.address.url}{path}"
        answer = any_client.request(method, url, content=body, headers=shown)
    assert answer.status_code == status
    assert world.operator.told == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", PROGRESS_PATH, b"{}"),
        ("POST", RESULT_PATH, b"{}"),
        ("GET", RESULT_PATH, b""),
        ("POST", UPLOADS_PATH, a_file("video.mp4", 1)),
        ("POST", UPLOADS_PATH, a_file(RECORD_FILE, 1)),
    ],
)
def test_a_pod_whose_video_is_cancelled_hands_in_no_video(
    world: World, method: str, path: str, body: bytes
) -> None:
    world.operator.caller = replace(world.operator.caller, is_stopped=True)
    tls = ssl.create_default_context(cadata=world.address.certificate_authority)
    with client(verify=tls) as any_client:
        url, shown = f"{world.address.url}{path}", {"Authorization": "Bearer the pod's token"}
        answer = any_client.request(method, url, content=body, headers=shown)
    assert answer.status_code == 403
    assert "was cancelled" in answer.text


def test_a_job_that_asks_without_end_is_slowed_down(world: World) -> None:
    with world.server() as server, pytest.raises(NotAnswered, match="429"):
        for _ in range(100):
            server.tell_progress(_progress(1))


def test_what_the_leader_answers_to_another_replica_is_the_answer(world: World) -> None:
    world.operator.leader = PlainTextResponse("nobody leads", status_code=503)
    with world.server() as server, pytest.raises(NotAnswered, match="503"):
        server.tell_progress(_progress(1))
    assert world.operator.told == []


def _progress(percent: int) -> Progress:
    return Progress(
        stage=Stage.DENOISE, step=1, steps=2, percent=percent, updated_time=datetime.now(UTC)
    )
